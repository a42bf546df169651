"""Faces of several sources, renewed together."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import duckdb
import pyarrow as pa
import pytest
from django.utils import timezone

from agnes_site.core.progress import silent
from catalog.models import Source
from extracts.engine import orchestrator
from extracts.models import Lease, Run, RunKind
from extracts.services import leases, regeneration, scanning
from tests.factories import SourceFactory, TableFactory, parquet_bytes, publish, stored_file

pytestmark = pytest.mark.django_db


@pytest.fixture
def served(layout):
    """Make sources with a published table each, and return their slugs."""

    def make(count: int) -> list[str]:
        sources = SourceFactory.create_batch(count, source_type="files")
        for source in sources:
            content = parquet_bytes(pa.table({"id": [1, 2]}))
            publish(TableFactory(source=source), stored_file(layout, content))
        return [source.slug for source in sources]

    return make


def _shown(layout) -> int:
    with duckdb.connect(str(orchestrator.current(layout.analytics)), read_only=True) as connection:
        return len(connection.execute("SHOW TABLES").fetchall())


@pytest.fixture
def renewed_by_another():
    """Let another process renew the extract folder of a source: ``renewed_by_another(slug)``."""

    def hold(slug: str) -> None:
        later = timezone.now() + timedelta(hours=1)
        Lease.objects.create(name=f"source:{slug}", holder="another", until=later)

    return hold


class TestRebuild:
    def test_one_that_cannot_be_written_stops_no_other(self, served, layout):
        good, bad, also_good = served(3)
        (layout.extracts / bad).write_text("in the way")

        (failure,) = regeneration.rebuild(silent)

        assert failure.startswith(f"{bad}: ")
        for slug in (good, also_good):
            assert (layout.extracts / slug / "extract.duckdb").exists()
        assert _shown(layout) == 3

    def test_waits_for_another_that_renews_the_same(
        self, served, layout, renewed_by_another, monkeypatch
    ):
        (slug,) = served(1)
        renewed_by_another(slug)
        lets_go = Lease.objects.filter(holder="another")
        monkeypatch.setattr(leases.time, "sleep", lambda seconds: lets_go.delete())

        assert regeneration.rebuild(silent) == []

        assert (layout.extracts / slug / "extract.duckdb").exists()

    def test_names_what_another_holds_for_too_long_and_stops_no_other(
        self, served, layout, renewed_by_another, monkeypatch
    ):
        busy, good = served(2)
        renewed_by_another(busy)
        monkeypatch.setattr(regeneration, "lease", lambda name, **_: leases.lease(name))

        (failure,) = regeneration.rebuild(silent)

        assert failure.startswith(f"{busy}: ")
        assert not (layout.extracts / busy / "extract.duckdb").exists()
        assert (layout.extracts / good / "extract.duckdb").exists()

    def test_makes_a_damaged_analytics_file_anew_with_all_sources(self, served, layout):
        changed, *_ = served(3)
        regeneration.rebuild(silent)
        orchestrator.current(layout.analytics).write_bytes(b"damaged")
        Source.objects.filter(slug=changed).update(stamp=uuid4())

        assert regeneration.rebuild(silent) == []

        assert _shown(layout) == 3

    def test_writes_nothing_where_nobody_says_any_more_who_does(self, layout):
        source = SourceFactory(slug="shop", source_type="of_a_package_that_is_gone")
        TableFactory(source=source)
        theirs = layout.extracts / "shop" / "extract.duckdb"
        theirs.parent.mkdir()
        theirs.write_bytes(b"theirs")

        failed = regeneration.rebuild(silent)
        scanning.scan()

        assert failed == []
        assert [path.name for path in theirs.parent.iterdir()] == ["extract.duckdb"]
        assert theirs.read_bytes() == b"theirs"
        assert Run.objects.get(source=source).kind == RunKind.EXTRACT

    def test_renews_what_we_wrote_though_its_connector_is_gone(self, served, layout):
        (slug,) = served(1)
        regeneration.rebuild(silent)
        Source.objects.update(source_type="of_a_package_that_is_gone", stamp=uuid4())
        (layout.extracts / slug / "extract.duckdb").unlink()

        assert regeneration.rebuild(silent) == []

        assert (layout.extracts / slug / "extract.duckdb").exists()

    def test_asks_the_database_as_often_for_many_as_for_two(
        self, served, django_assert_max_num_queries
    ):
        served(2)
        with django_assert_max_num_queries(200) as few:
            regeneration.rebuild(silent)
        count = len(few)
        served(12)

        with django_assert_max_num_queries(count):
            regeneration.rebuild(silent)
