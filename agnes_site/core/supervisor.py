"""Everything that an installation runs, kept running by supervisord."""

from __future__ import annotations

import fcntl
import getpass
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, TextIO

from agnes_site.core.config import BASE_DIR, Config
from agnes_site.core.errors import ConfigurationError, ConflictError
from agnes_site.core.storage import Layout

# Before a command: it ends when its parent does.
TETHERED = [sys.executable, "-I", "-S", str(Path(__file__).with_name("tethered.py"))]
_COMMENT = re.compile(r"\s[;#]|[\r\n]")
# Supervisord closes what is above when it is told to reload, as by a terminal that is closed.
_KEPT_DESCRIPTOR = 4


class PortTakenError(ConflictError):
    """Another program listens where the web server is to listen."""

    code = "port_taken"
    hint = "Stop the other program, or choose another address with AGNES_BIND=127.0.0.1:8001."


class AlreadyUpError(ConflictError):
    """A supervisor keeps web, worker and beat running on the same data."""

    code = "already_up"
    hint = "Stop that process first, or set DATA_DIR to another folder."


def claim(layout: Layout) -> TextIO:
    """Take the right to run everything on this data, and return the file that holds it while open.

    Raises:
        AlreadyUpError: another process has it; it is named.
    """
    held = (layout.tmp / "supervisord.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with held:
            held.seek(0)
            holder = held.read().strip()
        raise AlreadyUpError(
            f"Agnes runs on {layout.root} already, as process {holder or 'unknown'}."
        ) from None
    held.truncate(0)
    held.write(f"{os.getpid()}\n")
    held.flush()
    return held


def become(path: Path, *, held: TextIO) -> NoReturn:
    """Become supervisord, with what :func:`claim` returned in its hands and in no child's."""
    os.dup2(held.fileno(), _KEPT_DESCRIPTOR)
    # It does not become so where the two are the same.
    os.set_inheritable(_KEPT_DESCRIPTOR, True)
    os.execv(sys.executable, supervisord(path))


def supervisord(path: Path) -> list[str]:
    """Return the command that runs what is configured in ``path``."""
    return [sys.executable, "-m", "supervisor.supervisord", "-c", str(path)]


def check_port(bind: str) -> None:
    """Make sure that the web server can listen on ``host:port``.

    Raises:
        PortTakenError: it cannot.
    """
    host, _, port = bind.rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise PortTakenError(f"Nothing can listen on {bind}: {reason}.") from error


def programs(config: Config) -> Mapping[str, list[str]]:
    """Return the command of each program of an installation, by name.

    Of the worker there are as many processes as the settings say, each with one run at a time.
    """
    binaries = Path(sys.executable).parent
    celery = [str(binaries / "celery"), "-A", "agnes_site"]
    return {
        "web": [
            str(binaries / "gunicorn"), "agnes_site.wsgi:application",
            "--bind", config.bind,
            "--worker-class", "gthread",
            "--workers", str(config.web_processes),
            "--threads", str(config.web_threads),
            "--keep-alive", "75",
            "--graceful-timeout", "5",
            # It would lie in the home folder, one for all installations of a user.
            "--no-control-socket",
        ],
        "worker": [
            *celery, "worker", "--queues", "runs,upkeep",
            # Processes of a pool share a lock, which one that is killed takes along.
            "--pool", "solo",
            "--without-gossip", "--without-mingle", "--without-heartbeat",
            "--loglevel", config.log_level,
        ],
        "beat": [*celery, "beat", "--loglevel", config.log_level, "--pidfile", ""],
    }  # fmt: skip


def write_supervisord_config(config: Config, layout: Layout, *, logs: Path | None = None) -> Path:
    """Write what supervisord needs to run all programs, and return the file.

    With ``logs`` each program writes to a file of its own there, else all to the output of
    supervisord. Settings and secrets stay in the environment.
    """
    sections = [
        "[supervisord]", "nodaemon = true", "logfile = /dev/null", "logfile_maxbytes = 0",
        "loglevel = warn", f"user = {getpass.getuser()}",
        f"pidfile = {_plain(layout.tmp / 'supervisord.pid')}",
        f"directory = {_plain(BASE_DIR)}",
    ]  # fmt: skip
    for name, command in programs(config).items():
        copies = config.worker_processes if name == "worker" else 1
        # Supervisord fills in what follows a percent sign, in names of log files twice.
        number = "-%(process_num)d" if copies > 1 else ""
        output = f"{_plain(_plain(logs / name))}{number}.log" if logs else "/dev/fd/1"
        sections += [
            f"[program:{name}]",
            f"command = {' '.join(_quoted(word) for word in [*TETHERED, *command])}",
            "autorestart = true",
            "startretries = 1000000",
            "stopwaitsecs = 10",
            "killasgroup = true",
            "redirect_stderr = true",
            f"numprocs = {copies}",
            "numprocs_start = 1",
            f"process_name = %(program_name)s{number}",
            f"stdout_logfile = {output}",
            f"stdout_logfile_maxbytes = {50_000_000 if logs else 0}",
        ]
    path = layout.tmp / "supervisord.conf"
    path.write_text("\n".join(sections) + "\n", encoding="utf-8")
    return path


def share_output() -> None:
    """Hand the output on by a pipe where the processes to be started cannot open it themselves.

    It is so with the terminal of another user, below su and sudo, and with the socket to systemd's
    journal; supervisord then starts nothing, and says nothing.
    """
    try:
        Path("/dev/fd/1").open("ab", buffering=0).close()
    except OSError:
        # Beyond the reach of Ctrl-C: it ends with the last of those that write.
        relay = subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True)
        assert relay.stdin is not None
        os.dup2(relay.stdin.fileno(), 1)
        os.dup2(relay.stdin.fileno(), 2)


def _quoted(word: str) -> str:
    escaped = _plain(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _plain(value: object) -> str:
    """Return ``value`` as supervisord is to read it.

    Raises:
        ConfigurationError: supervisord would take a part of it for a comment.
    """
    text = str(value)
    if _COMMENT.search(text):
        raise ConfigurationError(
            f"{text!r} cannot be a path here: it holds a space before ';' or '#', or a line break.",
            hint="Move or rename the folder, or set DATA_DIR to another one.",
        )
    return text.replace("%", "%%")
