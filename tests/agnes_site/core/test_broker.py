"""The queue in a folder: a message is whole or not there, whatever the disk does."""

from __future__ import annotations

import pytest
from kombu import Connection
from kombu.exceptions import ChannelError

from tests.disks import PAGE, mounted


@pytest.fixture
def disk(tmp_path):
    with mounted(tmp_path / "disk", "size=1m") as found:
        yield found


@pytest.fixture
def queue(disk):
    folder = str(disk.folder)
    options = {"data_folder_in": folder, "data_folder_out": folder}
    with Connection("folder://localhost", transport_options=options) as connection:
        yield connection.SimpleQueue("runs")


class TestQueueInAFolder:
    def test_hands_messages_on_in_their_order(self, queue):
        for number in range(3):
            queue.put(number)

        assert [queue.get_nowait().payload for _ in range(3)] == [0, 1, 2]

    @pytest.mark.parametrize("left", [0, PAGE])
    def test_takes_a_message_whole_or_not_at_all(self, queue, disk, left):
        queue.put("before")
        disk.leave(left)
        with pytest.raises(ChannelError, match="No space left"):
            queue.put("x" * 2 * PAGE)
        disk.clear()
        queue.put("after")

        assert [queue.get_nowait().payload for _ in range(2)] == ["before", "after"]
        with pytest.raises(queue.Empty):
            queue.get_nowait()
        assert not any(disk.folder.iterdir())

    def test_gets_over_a_damaged_message(self, queue, disk):
        torn = disk.folder / f"{0:020}_torn.runs.msg"  # the oldest there can be
        torn.touch()
        queue.put("whole")

        assert queue.get_nowait().payload == "whole"
        assert not torn.exists()
