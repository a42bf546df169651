"""Files of folders: which ones a name means, and that nothing else is ever opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from catalog.connectors import Reach
from extracts.connectors.files.locations.local import LocalLocation
from extracts.connectors.files.locations.location import FileChangedError
from extracts.connectors.files.locations.patterns import matches
from extracts.connectors.files.settings import FilesConfig
from extracts.connectors.files.source_file import (
    SourceFileRefusedError,
    SourceFilesMissingError,
    SourceFolderMissingError,
)
from extracts.connectors.reach.paths import PathNotAllowedError
from tests.extracts.connectors.files.places import Runs, table


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "source"
    path.mkdir()
    return path


@pytest.fixture
def location(folder):
    return LocalLocation(folder, Reach(roots=(folder.parent,)))


def write(folder, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a\n1\n")


def names_of(location, source_table: str) -> list[str]:
    return [entry.name for entry in location.entries(source_table)]


class TestPattern:
    @pytest.mark.parametrize(
        ("pattern", "fits", "others"),
        [
            ("*.csv", ["a.csv", "ä b.csv", "a\nb.csv"], ["x/a.csv", ".a.csv", "a.CSV"]),
            ("**/*.csv", ["a.csv", "x/y/a.csv"], ["x/.y/a.csv", "a.txt"]),
            ("x/**", ["x/a.csv", "x/y/a.csv"], ["a.csv", "xy/a.csv"]),
            ("x/**/y/*", ["x/y/a", "x/1/2/y/a"], ["x/y/z/a", "y/a"]),
            ("a[0-9]?.csv", ["a12.csv"], ["a1/.csv", "ab2.csv", "a1.csv"]),
            ("[!a]*/b", ["b/b"], ["a/b", "b"]),
        ],
    )
    def test_stays_within_its_folders(self, pattern, fits, others):
        assert all(matches(name, pattern) for name in fits)
        assert not any(matches(name, pattern) for name in others)

    def test_takes_no_time_that_grows_without_bound(self):
        assert not matches("a" * 1000, "*a" * 40 + "b")
        assert not matches("/".join("a" * 40), "/".join(["**", "a"] * 5) + "/b")


class TestEntries:
    def test_are_a_file_a_folder_or_a_pattern(self, folder, location):
        write(folder, "a.csv", "x/b.csv", "x/y/c.csv", "x/.d.csv", ".x/e.csv", "x/note.txt")

        assert names_of(location, "a.csv") == ["a.csv"]
        assert names_of(location, "x") == ["x/b.csv", "x/y/c.csv"]
        assert names_of(location, "**/*.csv") == ["a.csv", "x/b.csv", "x/y/c.csv"]
        assert names_of(location, "x/*.csv") == ["x/b.csv"]

    def test_take_a_name_with_signs_for_the_file_if_there_is_one(self, folder, location):
        write(folder, "a[1].csv", "a1.csv")

        assert names_of(location, "a[1].csv") == ["a[1].csv"]

    def test_tell_names_apart_by_case(self, folder, location):
        write(folder, "A.csv", "a.csv")

        assert names_of(location, "*.csv") == ["A.csv", "a.csv"]

    @pytest.mark.parametrize("name", ["../a.csv", "/etc/passwd", "a\0.csv", "", "x/../../a.csv"])
    def test_are_refused_outside_of_the_folder(self, location, name):
        with pytest.raises(SourceFileRefusedError):
            location.entries(name)

    def test_say_what_is_missing(self, folder, location):
        (folder / "gone.csv").symlink_to("nowhere.csv")

        for name in ("no.csv", "no/*.csv", "*.tsv", "gone.csv"):
            with pytest.raises(SourceFilesMissingError):
                location.entries(name)

    @pytest.mark.hostile(20)
    def test_pass_over_links_that_lead_out_and_say_so(self, folder, location, tmp_path):
        write(folder, "x/a.csv", "x/b.csv")
        write(tmp_path, "secret.csv")
        (folder / "x" / "out.csv").symlink_to(tmp_path / "secret.csv")
        (folder / "x" / "same.csv").symlink_to("a.csv")
        (folder / "x" / "self.csv").symlink_to("self.csv")

        for name in ("x", "**/*", "x/*.csv"):
            assert names_of(location, name) == ["x/a.csv", "x/b.csv", "x/same.csv"]
            assert location.notes[0].endswith("x/out.csv, x/self.csv.")
        for name in ("x/out.csv", "x/o*"):
            with pytest.raises(SourceFileRefusedError, match=r"x/out\.csv lies outside"):
                location.entries(name)

    def test_spell_out_bytes_that_are_no_text(self, folder, location):
        (folder / os.fsdecode(b"caf\xe9.csv")).write_text("a\n1\n")

        assert names_of(location, "*.csv") == [r"caf\xe9.csv"]

    def test_are_quick_for_ten_thousand_files(self, folder, location):
        for number in range(10_000):
            (folder / f"{number:05}.csv").touch()

        assert len(names_of(location, "*.csv")) == 10_000


class TestStamps:
    def test_of_a_file_that_is_gone_cannot_be_told(self, folder, location):
        write(folder, "a.csv")
        entries = location.entries("a.csv")
        (folder / "a.csv").unlink()

        assert location.stamps(entries, {}) == [None]


class TestListed:
    def test_leaves_out_what_cannot_be_read(self, folder, location, tmp_path):
        write(folder, "good.csv", "sub/good.csv")
        write(tmp_path, "secret.csv")
        (folder / "out.csv").symlink_to(tmp_path / "secret.csv")
        (folder / "loop").symlink_to(folder)
        (folder / "nowhere.csv").symlink_to("gone")
        (folder / "self.csv").symlink_to("self.csv")
        os.mkfifo(folder / "pipe.csv")
        (folder / os.fsdecode(b"bad\xff.csv")).touch()

        assert [entry.name for entry in location.listed()] == ["good.csv", "sub/good.csv"]

    def test_is_told_from_a_folder_that_is_not_there(self, folder):
        with pytest.raises(SourceFolderMissingError):
            LocalLocation(folder / "no", Reach(roots=(folder,)))

    def test_needs_a_folder_below_a_root(self, folder, tmp_path):
        with pytest.raises(PathNotAllowedError):
            LocalLocation(folder, Reach(roots=(tmp_path / "other",)))


@pytest.mark.hostile(20)
class TestFetched:
    def test_refuses_a_pipe_and_a_device_without_waiting(self, folder, location, tmp_path):
        os.mkfifo(folder / "pipe.csv")

        with pytest.raises(SourceFileRefusedError, match="not a file"):
            location.entries("pipe.csv")

    def test_refuses_a_file_that_became_a_link_out(self, folder, location, tmp_path):
        write(folder, "x/a.csv")
        write(tmp_path, "other/a.csv")
        entries = location.entries("x/a.csv")
        (folder / "x").rename(folder / "was")
        (folder / "x").symlink_to(tmp_path / "other")

        with pytest.raises(SourceFileRefusedError), location.fetched(entries, tmp_path):
            pass

    def test_reads_the_file_that_was_opened_and_notices_another(self, folder, location, tmp_path):
        write(folder, "a.csv", "b.csv")
        (folder / "b.csv").write_text("other")

        with location.fetched(location.entries("a.csv"), tmp_path) as (fetched,):
            (folder / "b.csv").replace(folder / "a.csv")

            assert fetched.file.path.read_text() == "a\n1\n"
            with pytest.raises(FileChangedError, match=r"a\.csv"):
                fetched.check()

    def test_leaves_no_file_open(self, folder, location, tmp_path):
        write(folder, "a.csv", "b.csv")

        with location.fetched(location.entries("*.csv"), tmp_path):
            pass

        opened = {os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()}
        assert not [path for path in opened if path.startswith(str(tmp_path))]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_thousand_files_are_one_table(folder, tmp_path):
    for number in range(10_000):
        (folder / f"{number:05}.csv").write_text(f"id\n{number}\n")
    runs = Runs(tmp_path, FilesConfig(folder=folder), table("*.csv", key=("id",)))

    runs.run()

    assert [row["id"] for row in runs.rows()] == list(range(10_000))
    assert runs.run().is_unchanged
