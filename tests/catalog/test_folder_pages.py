"""The pages of folders."""

from django.urls import reverse

from access.models import ADMIN, AuditEvent, Group
from access.services import grants
from catalog.models import Folder
from tests.admin_pages import page_of, text_of
from tests.factories import GroupFactory, TableFactory


class TestFolderPages:
    def test_add_change_and_remove_a_folder(self, pages):
        pages.post(
            reverse("admin:catalog_folder_add"),
            {"slug": "finance", "display_name": "", "description": ""},
        )
        folder = Folder.objects.get()
        pages.post(page_of(folder), {"display_name": "Finance", "description": "Money"})
        changed = Folder.objects.get()
        grants.grant(group=GroupFactory(), resource_type="folder", resource_id="finance", by=None)
        pages.post(reverse("admin:catalog_folder_delete", args=[folder.pk]), {"post": "yes"})

        assert changed.display_name == "Finance"
        assert not Folder.objects.exists()
        assert AuditEvent.objects.filter(action="resource_grant.deleted").exists()

    def test_refuse_a_folder_whose_name_is_taken(self, pages):
        Folder.objects.create(slug="finance")

        response = pages.post(
            reverse("admin:catalog_folder_add"),
            {"slug": "Finance", "display_name": "", "description": ""},
        )

        assert "There is a folder" in text_of(response)
        assert Folder.objects.count() == 1

    def test_move_stamps_when_a_folder_goes(self, pages):
        folder = Folder.objects.create(slug="finance")
        TableFactory(folder=folder)
        stamp = Group.objects.get(name=ADMIN).stamp

        pages.post(reverse("admin:catalog_folder_delete", args=[folder.pk]), {"post": "yes"})

        assert Group.objects.get(name=ADMIN).stamp != stamp
