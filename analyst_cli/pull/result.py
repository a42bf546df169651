"""What a pull is asked for and what it answers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analyst_cli.pull.manifest import Problem


@dataclass(kw_only=True)
class Request:
    """What a caller wants pulled: all, or the named tables."""

    tables: Collection[str] = ()
    skip_materialized: bool = False

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.tables and not self.skip_materialized


@dataclass(kw_only=True)
class Result:
    """What a pull did."""

    tables_updated: int = 0
    parquets_total: int = 0
    rows_total: int = 0
    bytes_downloaded: int = 0
    removed: int = 0
    duration_s: float = 0.0
    not_modified: bool = False
    errors: list[Problem] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {**vars(self), "errors": [problem.as_json() for problem in self.errors]}
