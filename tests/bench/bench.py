"""What a measurement is given, and how it refuses a wrong result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class WrongResultError(Exception):
    """What was measured did not do its work; its time means nothing."""

    @property
    def summary(self) -> str:
        """What a page can say of it: the last line of the message."""
        lines = [line.strip() for line in str(self).splitlines() if line.strip()]
        return lines[-1] if lines else "it does not say why."


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The circumstances of one measurement: an empty folder of its own, and which sizes."""

    folder: Path
    is_quick: bool
    may_install: bool
    load_seconds: int

    def size(self, full: int, *, quick: int) -> int:
        """Return the size that is stated in the page, or the one of a smoke run."""
        return quick if self.is_quick else full


def check(found: object, expected: object, *, what: str) -> None:
    """Refuse a result that is not what it must be.

    Raises:
        WrongResultError: it is another one.
    """
    if found != expected:
        raise WrongResultError(f"{what}: expected {expected!r}, found {found!r}.")
