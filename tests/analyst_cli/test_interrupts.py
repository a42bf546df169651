"""Ctrl-C while a module is imported."""

from __future__ import annotations

import subprocess
import sys

MODULE = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
whole = True
"""
PROGRAM = """
import signal, sys
from analyst_cli.interrupts import import_whole
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    import_whole("interrupted")
except KeyboardInterrupt:
    print("after it:", sys.modules["interrupted"].whole)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
signal.signal(signal.SIGINT, signal.SIG_IGN)
del sys.modules["interrupted"]
print("ignored:", import_whole("interrupted").whole)
"""


def test_waits_for_the_end_of_the_import(tmp_path):
    (tmp_path / "interrupted.py").write_text(MODULE, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(tmp_path)!r})\n{PROGRAM}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.stdout.splitlines() == ["after it: True", "True", "ignored: True"], done.stderr
