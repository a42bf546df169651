"""Export and import over HTTP and from the shell."""

from __future__ import annotations

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command

from catalog.models import Folder
from catalog.services import exchange, folders
from catalog.services.exchange import Format

DOCUMENT = b"agnes: 1\nfolders: {sales: {description: What we sold.}}\n"


class TestApi:
    def test_exports_and_imports(self, admin_api):
        caller = admin_api
        folders.add_folder(slug="sales", by=None, description="Old")

        text = caller.get("/api/admin/export").text
        document = SimpleUploadedFile("agnes.yaml", text.replace("Old", "New").encode())
        done = caller.post("/api/admin/import", {"file": document}).json()

        assert (done["applied"], done["changed"], done["added"]) == (True, 1, 0)
        assert Folder.objects.get().description == "New"

    def test_tries_without_changing(self, admin_api):
        document = SimpleUploadedFile("agnes.yaml", DOCUMENT)

        plan = admin_api.post("/api/admin/import?dry_run=true", {"file": document}).json()

        assert (plan["applied"], plan["added"], plan["problems"]) == (False, 1, [])
        assert plan["changes"][0]["after"] == {"description": "What we sold."}
        assert not Folder.objects.exists()

    def test_imports_only_the_plan_that_was_seen(self, admin_api):
        document = SimpleUploadedFile("agnes.yaml", DOCUMENT)

        answer = admin_api.post("/api/admin/import?plan=other", {"file": document})

        assert answer.status_code == 409
        assert answer.json()["code"] == "import_plan_outdated"

    def test_names_each_problem(self, admin_api):
        document = SimpleUploadedFile("agnes.yaml", b"agnes: 1\nfolders: {'a b': {}, '1': {}}")

        answer = admin_api.post("/api/admin/import", {"file": document})

        assert answer.status_code == 422
        assert len(answer.json()["details"]["problems"]) == 2

    def test_exports_one_kind_as_csv(self, admin_api):
        answer = admin_api.get("/api/admin/export?format=csv&kind=groups")

        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.text == exchange.write(as_format=Format.CSV, kind="groups")


class TestCommands:
    def test_bring_everything_to_another_server(self, db, tmp_path):
        folders.add_folder(slug="sales", by=None, description="What we sold.")
        written = io.StringIO()
        call_command("export_registry", stdout=written)
        Folder.objects.all().delete()
        path = tmp_path / "agnes.yaml"
        path.write_text(written.getvalue())

        call_command("import_registry", str(path), stdout=io.StringIO(), stderr=io.StringIO())

        assert Folder.objects.get().description == "What we sold."

    def test_show_the_difference(self, db, tmp_path):
        folders.add_folder(slug="sales", by=None, description="Old")
        path = tmp_path / "folders.csv"
        path.write_text("name,description\nsales,New\nother,\n")
        shown, told = io.StringIO(), io.StringIO()

        call_command("import_registry", str(path), "--dry-run", stdout=shown, stderr=told)

        assert '~ folder sales\n    description: "Old" -> "New"\n+ folder other' in shown.getvalue()
        assert "Would be: 1 added, 1 changed, 0 removed; 0 things unchanged." in told.getvalue()
        assert Folder.objects.get().description == "Old"

    @pytest.mark.parametrize("options", [[], ["--dry-run"]])
    @pytest.mark.parametrize(
        ("content", "said"),
        [("agnes: 1\nfolders: {'a b': {}}", "a b"), ("nothing", "should begin with")],
    )
    def test_say_what_is_wrong(self, db, tmp_path, content, said, options):
        path = tmp_path / "agnes.yaml"
        path.write_text(content)

        with pytest.raises(CommandError, match=said):
            call_command("import_registry", str(path), *options, stdout=io.StringIO())

    def test_write_csv_of_one_kind_only(self, db):
        with pytest.raises(CommandError, match="one kind"):
            call_command("export_registry", "--csv")

    def test_say_which_file_is_missing(self, db):
        with pytest.raises(CommandError, match="cannot be read"):
            call_command("import_registry", "/nowhere.yaml")
