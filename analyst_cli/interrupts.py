"""Ctrl-C where it has to wait."""

from __future__ import annotations

import importlib
import signal
import threading
from types import ModuleType


def import_whole(name: str) -> ModuleType:
    """Import a module; Ctrl-C waits for the end of that.

    A module in C does not expect an exception while it starts: DuckDB ends the process.

    Raises:
        KeyboardInterrupt: somebody pressed Ctrl-C meanwhile.
    """
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not is_usual or threading.current_thread() is not threading.main_thread():
        return importlib.import_module(name)
    came = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: came.set())
    try:
        module = importlib.import_module(name)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came.is_set():
        raise KeyboardInterrupt
    return module
