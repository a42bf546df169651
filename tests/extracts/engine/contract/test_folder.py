from __future__ import annotations

import pytest

from extracts.engine.contract import prepare_extract
from tests.extracts.engine.contract.folders import ask, names_below, switch, table, write_extract


@pytest.mark.hostile(20)
class TestForeignFilesInOurFolder:
    def test_are_moved_aside_and_named(self, folder, store):
        write_extract(folder, [table("orders", store()), table("split", store(), store())])
        (folder / "notes.txt").write_text("notes")
        (folder / "data/mine.parquet").write_text("mine")
        (folder / "data/split/mine.parquet").write_text("mine too")
        (folder / "data/sub").mkdir()

        written = write_extract(folder, [table("orders", store())])

        endings = sorted(path.name.partition("-")[2] for path in written.moved_aside)
        assert endings == ["data-mine.parquet", "data-split-mine.parquet", "data-sub", "notes.txt"]
        assert all(path.parent == folder / "foreign" for path in written.moved_aside)
        assert all(path.exists() for path in written.moved_aside)
        assert names_below(folder / "data") == ["orders.parquet"]

    def test_are_all_kept_where_their_names_would_be_the_same(self, folder, store):
        write_extract(folder, [table("orders", store())])
        (folder / "data-a").write_text("one")
        (folder / "data/a").write_text("two")

        written = write_extract(folder, [table("orders", store())])

        assert sorted(path.read_text() for path in written.moved_aside) == ["one", "two"]

    @pytest.mark.parametrize("said", ["{", "[1]"])
    def test_are_those_of_which_nobody_knows_whose_they_are(self, folder, store, said):
        write_extract(folder, [table("orders", store()), table("old", store())])
        (folder / ".links.json").write_text(said)

        written = write_extract(folder, [table("orders", store())])

        assert len(written.moved_aside) == 2
        assert names_below(folder / "data") == ["orders.parquet"]
        assert ask(folder / "extract.duckdb", "FROM orders") == [(1, "a")]

    def test_do_not_take_the_place_of_ours(self, folder, store):
        stored_at = store()
        write_extract(folder, [table("orders", stored_at)])
        (folder / "data/orders.parquet").unlink()
        (folder / "data/orders.parquet").write_text("theirs")

        written = write_extract(folder, [table("orders", stored_at)])

        assert [path.read_text() for path in written.moved_aside] == ["theirs"]
        assert ask(folder / "extract.duckdb", "FROM orders") == [(1, "a")]

    def test_include_links_that_lead_elsewhere(self, folder, store, tmp_path):
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "orders.parquet").write_text("precious")
        folder.mkdir(parents=True)
        (folder / "data").symlink_to(elsewhere)
        (folder / "foreign").symlink_to(elsewhere)

        written = write_extract(folder, [table("orders", store())])

        assert len(written.moved_aside) == 1
        assert not (folder / "data").is_symlink()
        assert [path.name for path in elsewhere.iterdir()] == ["orders.parquet"]
        assert (elsewhere / "orders.parquet").read_text() == "precious"

    def test_include_an_extract_that_we_did_not_write(self, folder, store):
        ours = write_extract(folder, [table("orders", store())])
        theirs = b"theirs"

        kept = prepare_extract(folder, [table("orders", store())], own=[ours.sha256])
        switch(kept)
        (folder / "extract.duckdb").write_bytes(theirs)
        moved = prepare_extract(folder, [table("orders", store())], own=[kept.sha256])

        assert kept.moved_aside == ()
        assert [path.read_bytes() for path in moved.moved_aside] == [theirs]

    def test_cannot_make_us_remove_a_file_elsewhere(self, folder, store, tmp_path):
        victim = tmp_path / "victim"
        victim.write_text("precious")
        write_extract(folder, [table("orders", store())])
        (folder / ".links.json").write_text(
            f'{{"../../../victim": [{victim.stat().st_ino}], "{victim}": [{victim.stat().st_ino}]}}'
        )

        write_extract(folder, [])

        assert victim.read_text() == "precious"
