"""Rows that a run set aside: kept as long as the run, shown to administrators, then forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import orjson
from django.conf import settings

from agnes_site.core.errors import NotFoundError
from agnes_site.core.failpoints import failpoint
from agnes_site.core.storage import Layout, fsync_file, fsync_folder
from extracts.models import Run

# Of each table, the files of so many runs are kept.
KEPT_RUNS = 10
# Where the state of a version says which run set rows aside on the way to it.
_BY = "rejected_by"


class RejectedRowsGoneError(NotFoundError):
    """A run set no rows aside, or they are not kept any more."""

    code = "rejected_rows_gone"
    hint = "The rows of the newest runs of each table are kept; extract the table again."


@dataclass(frozen=True, kw_only=True)
class RejectedRow:
    """One row that was set aside, and why."""

    file: str
    row: int
    column: str
    reason: str
    text: str


def keep(run: Run, path: Path) -> None:
    """Move the file that a connector left into the care of the server, durably."""
    place = place_of(run.pk)
    place.parent.mkdir(exist_ok=True)
    fsync_file(path)
    path.replace(place)
    fsync_folder(place.parent)


def signed(state: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return the state that a run leaves which set rows aside."""
    return {**state, _BY: str(run.pk)}


def forget_unpublished(run: Run, state: Mapping[str, Any]) -> None:
    """Remove what an attempt of this run kept, unless it led to the version with this state."""
    if state.get(_BY) != str(run.pk):
        forget(run)


def forget(run: Run) -> None:
    """Remove what an attempt of this run kept which then was ended; there may be nothing."""
    place_of(run.pk).unlink(missing_ok=True)


def count(run: Run) -> int:
    """Return how many rows this run set aside."""
    try:
        with opened(run) as file:
            return sum(1 for _ in file)
    except RejectedRowsGoneError:
        return 0


def place_of(run_id: UUID) -> Path:
    """Return where the rows of a run are kept, if they are."""
    layout: Layout = settings.LAYOUT
    return layout.quarantine / f"{run_id}.ndjson"


def first_rows(run: Run, *, limit: int) -> list[RejectedRow]:
    """Return the first rows that a run set aside.

    Raises:
        RejectedRowsGoneError: there are none.
    """
    with opened(run) as file:
        return [RejectedRow(**orjson.loads(line)) for line in islice(file, limit)]


def opened(run: Run) -> BinaryIO:
    """Open all rows that a run set aside, a line of JSON each.

    Raises:
        RejectedRowsGoneError: there are none.
    """
    try:
        return place_of(run.pk).open("rb")
    except FileNotFoundError as error:
        raise RejectedRowsGoneError("There are no rows that this run set aside.") from error


def sweep() -> None:
    """Remove the rows of runs that are gone, and those that newer runs have taken the place of."""
    layout: Layout = settings.LAYOUT
    if not layout.quarantine.is_dir():
        return
    places = {path.stem: path for path in layout.quarantine.glob("*-*-*-*-*.ndjson")}
    for run_id in places.keys() - set(_kept(places.keys())):
        places[run_id].unlink(missing_ok=True)
        failpoint("retention.rejected_deleted")


def _kept(run_ids: Iterable[str]) -> Iterator[str]:
    """Yield the ids of the newest runs of each table."""
    counts: dict[UUID | None, int] = {}
    runs = Run.objects.filter(pk__in=list(run_ids)).order_by("-queued_at")
    for run_id, table_id in runs.values_list("pk", "table_id"):
        counts[table_id] = counts.get(table_id, 0) + 1
        if counts[table_id] <= KEPT_RUNS:
            yield str(run_id)
