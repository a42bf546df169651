"""How full the disk is, and how long that will do."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Sum
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agnes_site.core import charts, human, markup
from agnes_site.core.charts import Share
from agnes_site.core.markup import Tone
from catalog.models import TablePart, TableVersion
from extracts.models import ScrubRound

_WEEK = timedelta(days=7)
_KEPT_SECONDS = 60
_SCARCE_SHARE, _SCARCE_DAYS = 0.1, 14
_FAR = 365


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The disk below DATA_DIR; sizes in bytes."""

    total: int
    free: int
    store: int
    new_a_day: int

    @property
    def days_left(self) -> int | None:
        """For how many days there is room if nothing is removed; none without new data."""
        return self.free // self.new_a_day if self.new_a_day else None

    @property
    def is_scarce(self) -> bool:
        """Whether somebody should make room."""
        left = self.days_left
        return self.free < self.total * _SCARCE_SHARE or (left is not None and left < _SCARCE_DAYS)


def look(now: datetime) -> Disk:
    """Return how full the disk is; what the versions take is a minute old."""
    measured: Any = cache.get_or_set("overview-disk", lambda: measure(now), _KEPT_SECONDS)
    store, week = measured
    usage = shutil.disk_usage(_data())
    return Disk(total=usage.total, free=usage.free, store=store, new_a_day=week // _WEEK.days)


def measure(now: datetime) -> tuple[int, int]:
    """Return the bytes of all stored parts, and of the versions of the last week."""
    parts = TablePart.objects.order_by().values("sha256", "bytes").distinct()
    store: int | None = parts.aggregate(all=Sum("bytes"))["all"]
    recent = TableVersion.objects.filter(created_at__gte=now - _WEEK)
    week: int | None = recent.aggregate(all=Sum("bytes"))["all"]
    return store or 0, week or 0


def card(disk: Disk, *, last_read: ScrubRound | None = None) -> SafeString:
    """Return how full the disk is, how long that will do, and whether what it holds is sound."""
    store = min(disk.store, disk.total - disk.free)
    other = max(disk.total - disk.free - store, 0)
    drawn = charts.shares(
        [
            _share("of versions", store, Tone.BUSY),
            _share("of everything else", other, Tone.PLAIN),
            _share("free", disk.free, Tone.WARN if disk.is_scarce else Tone.GOOD),
        ],
        sums_up=f"{human.size(disk.free)} of {human.size(disk.total)} are free",
    )
    told = markup.lines(
        f"{human.size(disk.free)} of {human.size(disk.total)} are free; "
        f"the versions take {human.size(disk.store)}.",
        _forecast(disk),
        _soundness(last_read),
    )
    return markup.card("Disk", markup.stack(told, drawn))


def _share(name: str, size: int, tone: Tone) -> Share:
    return Share(name=name, count=size, tone=tone, shown=human.size(size))


def _forecast(disk: Disk) -> str:
    left = disk.days_left
    if left is None:
        return "Nothing new came in the last week."
    pace = f"{human.size(disk.new_a_day)} of new versions a day"
    if left > _FAR:
        return f"With {pace}, that is enough for more than a year."
    return f"With {pace}, that is enough for about {human.plural(left, 'day')}."


def _soundness(last_read: ScrubRound | None) -> SafeString:
    if last_read is None:
        return markup.faint("The stored files have not been read through yet.")
    files = human.plural(last_read.files, "stored file")
    bad = last_read.bad_files
    found = f"{human.number(bad)} damaged or missing" if bad else "all whole"
    return format_html("{} read {}: {}.", files, markup.when(last_read.finished_at), found)


def _data() -> Path:
    root: Path = settings.LAYOUT.root
    return root
