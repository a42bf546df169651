"""The page that exports and imports: nothing changes before somebody says yes."""

from __future__ import annotations

import os
import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from access.models import ADMIN, Group, User
from access.services import groups
from catalog.models import Folder
from catalog.services import exchange, folders
from catalog.services.exchange import Format

DOCUMENT = b"agnes: 1\nfolders:\n  sales: {description: What we sold.}\n  '<b>': {}\n"


@pytest.fixture
def browser(client, admin, layout):
    client.force_login(admin)
    return client


def choose(browser, content: bytes, *, name="agnes.yaml", **fields):
    file = SimpleUploadedFile(name, content)
    return browser.post(reverse("exchange"), {"document": file, **fields}, follow=True)


def agreed_in(answer) -> str:
    return answer.context["agreed"]


def test_shows_a_plan_and_changes_nothing(browser):
    answer = choose(browser, b"agnes: 1\nfolders: {sales: {description: What we sold.}}")

    assert "folder sales" in answer.text
    assert "What we sold." in answer.text
    assert not Folder.objects.exists()


def test_imports_what_was_agreed_to(browser, layout):
    answer = choose(browser, b"agnes: 1\nfolders: {sales: {description: What we sold.}}")

    done = browser.post(reverse("exchange"), {"agreed": agreed_in(answer)}, follow=True)

    assert "Imported agnes.yaml: 1 added, 0 unchanged." in done.text
    assert Folder.objects.get().description == "What we sold."
    assert list(layout.imports.iterdir()) == []


def test_overlooks_a_document_that_somebody_else_forgets(browser, layout):
    (layout.imports / "gone.document").symlink_to("nowhere")

    assert agreed_in(choose(browser, b"agnes: 1\nfolders: {sales: {}}"))


def test_forgets_documents_that_nobody_answered_for(browser, layout):
    old, new = layout.imports / "old.document", layout.imports / "new.document"
    for path in (old, new):
        path.write_text("a secret of somebody")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(old, (two_days_ago, two_days_ago))

    choose(browser, b"agnes: 1\nfolders: {sales: {}}")

    assert not old.exists()
    assert new.exists()


def test_shows_the_plan_anew_when_something_has_changed(browser):
    answer = choose(browser, b"agnes: 1\nfolders: {sales: {description: What we sold.}}")
    folders.add_folder(slug="sales", by=None)

    done = browser.post(reverse("exchange"), {"agreed": agreed_in(answer)}, follow=True)

    assert "Something has changed since this plan was shown." in done.text
    assert Folder.objects.get().description == ""


def test_offers_nothing_to_agree_to_where_there_are_problems(browser):
    answer = choose(browser, DOCUMENT)

    assert agreed_in(answer) == ""
    assert "line 4" in answer.text
    assert "&lt;b&gt;" in answer.text


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"\xff\xfe", "agnes.yaml", "is not UTF-8"),
        (b"hello", "agnes.yaml", "should begin with"),
        (b"a,b\n1,2\n", "list.csv", "not clear what the file lists"),
        (b"#" * 10_000_001, "agnes.yaml", "more than 10 MB"),
        (b"agnes: 1\nfolders: {}\n", "agnes.yaml", "There is nothing to do."),
    ],
)
def test_says_what_is_wrong_with_a_file(browser, content, name, said):
    assert said in choose(browser, content, name=name).text


@pytest.mark.parametrize("agreed", ["", "x", "x:y:z"])
def test_takes_no_other_yes_than_its_own(browser, agreed):
    done = browser.post(reverse("exchange"), {"agreed": agreed}, follow=True)

    assert "The document is no longer there." in done.text


def test_takes_no_yes_of_somebody_else(browser, client, layout):
    answer = choose(browser, b"agnes: 1\nfolders: {sales: {}}")
    other = User.objects.create_user("other@example.com", "correct horse")
    groups.add_member(group=Group.objects.get(name=ADMIN), user=other, by=None)
    client.force_login(other)

    done = client.post(reverse("exchange"), {"agreed": agreed_in(answer)}, follow=True)

    assert "Somebody else has chosen this document." in done.text
    assert not Folder.objects.exists()


def test_is_for_administrators(client, analyst):
    client.force_login(analyst)

    assert client.get(reverse("exchange")).status_code == 302
    assert client.get(reverse("exchange_export")).status_code == 302


def test_exports_what_the_service_writes(browser):
    folders.add_folder(slug="sales", by=None)

    whole = browser.get(reverse("exchange_export"))
    table = browser.get(reverse("exchange_export"), {"format": "csv", "kind": "folders"})

    assert whole.text == exchange.write(as_format=Format.YAML)
    assert table.text == exchange.write(as_format=Format.CSV, kind="folders")
    assert 'filename="folders.csv"' in table["Content-Disposition"]


@pytest.mark.parametrize("query", ["format=csv", "format=xml", "kind=nothing"])
def test_asks_again_for_what_cannot_be_exported(browser, query):
    answer = browser.get(f"{reverse('exchange_export')}?{query}", follow=True)

    assert answer.status_code == 200
    assert "Import &amp; export" in answer.text
