"""How long work says where it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called by long work now and then; cheap to call, thinned out by who listens."""

    def __call__(
        self, phase: str, *, done: int = 0, total: int | None = None, message: str = ""
    ) -> None:
        """Report ``done`` of ``total`` units of ``phase``; an unknown total is ``None``."""


def silent(phase: str, *, done: int = 0, total: int | None = None, message: str = "") -> None:
    """Listen to nobody: for callers that do not show progress."""
