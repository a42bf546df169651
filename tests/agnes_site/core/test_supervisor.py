"""What an installation runs."""

from __future__ import annotations

import os

import pytest
from supervisor.options import ServerOptions

from agnes_site.core.config import config, load
from agnes_site.core.errors import ConfigurationError
from agnes_site.core.storage import Layout
from agnes_site.core.supervisor import (
    AlreadyUpError,
    claim,
    programs,
    write_supervisord_config,
)


class TestPrograms:
    def test_leaves_no_control_socket_in_the_home_folder(self):
        assert "--no-control-socket" in programs(config())["web"]


class TestClaim:
    def test_is_refused_to_a_second_process_which_is_told_of_the_first(self, layout):
        with claim(layout), pytest.raises(AlreadyUpError, match=f"as process {os.getpid()}"):
            claim(layout)

    def test_is_free_again_when_the_first_has_ended(self, layout):
        claim(layout).close()

        with claim(layout):
            assert (layout.tmp / "supervisord.lock").read_text() == f"{os.getpid()}\n"


def read(path) -> ServerOptions:
    options = ServerOptions()
    options.realize(["-c", str(path)])
    return options


class TestWriteSupervisordConfig:
    def test_has_as_many_workers_as_wanted_that_share_nothing(self, layout):
        wanted = load({"AGNES_WORKER_PROCESSES": "3"}).config

        options = read(write_supervisord_config(wanted, layout))

        found = {group.name: group.process_configs for group in options.process_group_configs}
        assert [each.name for each in found["worker"]] == ["worker-1", "worker-2", "worker-3"]
        # A pool of several processes stands still for ever once an idle one is killed.
        assert all("'--pool' 'solo'" in each.command.replace('"', "'") for each in found["worker"])

    @pytest.mark.parametrize("name", ["100 % %(x)s", 'it\'s a "data" folder'])
    def test_can_be_read_whatever_the_folder_is_called(self, tmp_path, name):
        layout = Layout(root=tmp_path / name, state=tmp_path / name / "state")
        layout.create()

        path = write_supervisord_config(config(), layout, logs=layout.root)

        options = read(path)
        assert options.pidfile == str(layout.tmp / "supervisord.pid")
        logs = [
            process.stdout_logfile
            for group in options.process_group_configs
            for process in group.process_configs
        ]
        assert sorted(logs) == [
            str(layout.root / f"{name}.log") for name in ("beat", "web", "worker-1", "worker-2")
        ]

    def test_refuses_a_folder_of_which_a_part_would_be_a_comment(self, tmp_path):
        layout = Layout(root=tmp_path / "a ;b", state=tmp_path / "state")
        layout.create()

        with pytest.raises(ConfigurationError, match="space before ';'"):
            write_supervisord_config(config(), layout)
