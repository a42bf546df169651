import pytest

from access.models import AuditEvent
from catalog.models import Folder, Source
from catalog.schedules import ScheduleInvalidError
from catalog.services import folders, sources
from catalog.services.folders import FolderExistsError
from catalog.services.sources import SettingsInvalidError, SourceExistsError
from tests.factories import SourceFactory, TableFactory


class TestNames:
    @pytest.mark.parametrize("taken", ["shop", "SHOP"])
    def test_of_sources_and_folders_are_taken_once_in_whatever_case(self, db, taken):
        SourceFactory(slug="shop")
        folders.add_folder(slug="shop", by=None)

        with pytest.raises(SourceExistsError):
            sources.add_source(slug=taken, source_type="files", config={"folder": "/a"}, by=None)
        with pytest.raises(FolderExistsError):
            folders.add_folder(slug=taken, by=None)


class TestChangeSource:
    def test_changes_and_records_what_is_new_only(self, admin):
        source = SourceFactory()

        changed = sources.change_source(
            source=source, by=admin, schedule="every 6h", is_paused=False
        )

        event = AuditEvent.objects.get(action="source.change")
        assert changed == ["schedule"]
        assert (event.before, event.after) == ({"schedule": ""}, {"schedule": "every 6h"})

    def test_records_nothing_when_nothing_is_new(self, admin):
        source = SourceFactory()

        assert sources.change_source(source=source, by=admin, config=source.config) == []
        assert not AuditEvent.objects.filter(action="source.change").exists()

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"config": {"folder": "/data", "colour": "red"}}, SettingsInvalidError),
            ({"config": {}}, SettingsInvalidError),
            ({"schedule": "now and then"}, ScheduleInvalidError),
        ],
    )
    def test_refuses_what_the_connector_would_not_take(self, db, fields, error):
        source = SourceFactory()

        with pytest.raises(error):
            sources.change_source(source=source, by=None, **fields)

        assert Source.objects.get().config == {"folder": "/nowhere"}


class TestRemoveFolder:
    def test_keeps_its_tables(self, db):
        folder = folders.add_folder(slug="finance", by=None)
        table = TableFactory(folder=folder)

        folders.remove_folder(folder=folder, by=None)

        table.refresh_from_db()
        assert table.folder is None
        assert not Folder.objects.exists()
