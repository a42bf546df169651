"""What the children of `test_process` do."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path

import duckdb

from agnes_site.core.errors import InvalidInputError, UpstreamError
from catalog import connectors


class JobRefusedError(InvalidInputError):
    code = "job_refused"
    hint = "Ask nicely."


def add(arguments, report):
    if "b" in arguments:
        report("adding", done=1, total=2)
    return arguments


def refuse(arguments, report):
    raise JobRefusedError("No.", row=7)


def fail_upstream(arguments, report):
    raise UpstreamError("No answer.", retry_after=30)


def stumble(arguments, report):
    raise KeyError("a secret of the data")


def crash(arguments, report):
    if arguments["how"] == "abort":
        os.abort()
    if arguments["how"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0)


def eat(arguments, report):
    return len(bytearray(arguments["bytes"]))


def eat_in_duckdb(arguments, report):
    with duckdb.connect(config={"memory_limit": "1MB", "temp_directory": ""}) as connection:
        connection.execute("SELECT list(i) FROM range(10000000) AS t(i)").fetchall()


def fill_disk(arguments, report):
    raise OSError(errno.ENOSPC, "No space left on device")


def spill(arguments, report):
    config = {"memory_limit": "16MB", "threads": 1, "temp_directory": arguments["folder"]}
    with duckdb.connect(config=config) as connection:
        # By default it is what is free on the disk.
        connection.execute("SET max_temp_directory_size = '1MB'")
        connection.execute("SELECT hash(i) AS h FROM range(4000000) AS t(i) ORDER BY h").fetchall()


def sleep(arguments, report):
    report("sleeping", message=str(os.getpid()))
    time.sleep(60)


def stop_in_the_middle_of_an_answer(arguments, report):
    report("sleeping", message=str(os.getpid()))
    held = [cell.cell_contents for cell in report.__closure__]
    (channel,) = (each for each in held if type(each).__name__ == "Channel")
    channel.connection.sendall(b'{"result": "half of')
    time.sleep(60)


def environment(arguments, report):
    return {
        "variables": dict(os.environ),
        "initial": Path("/proc/self/environ").read_bytes().decode(),
        "command_line": Path("/proc/self/cmdline").read_bytes().decode(),
    }


def open_files(arguments, report):
    return [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]


def threads_of_parent(arguments, report):
    return len(list(Path(f"/proc/{os.getppid()}/task").iterdir()))


def do(arguments, report):
    """Do what `what` names: for several in one child."""
    functions = {
        "refuse": refuse, "crash": crash, "crash_once": crash_once, "eat": eat, "sleep": sleep
    }  # fmt: skip
    return functions.get(arguments["what"], lambda *_: os.getpid())(arguments, report)


def crash_once(arguments, report):
    marker = Path(arguments["marker"])
    if not marker.exists():
        marker.touch()
        os._exit(0)
    return os.getpid()


def imported_for_connectors(arguments, report):
    before = set(sys.modules)
    connectors.get("files")
    return sorted(sys.modules.keys() - before)
