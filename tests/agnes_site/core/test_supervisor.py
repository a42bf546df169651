"""What an installation runs."""

from __future__ import annotations

from agnes_site.core.config import config
from agnes_site.core.supervisor import programs


class TestPrograms:
    def test_leaves_no_control_socket_in_the_home_folder(self):
        assert "--no-control-socket" in programs(config())["web"]
