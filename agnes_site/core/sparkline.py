"""A small drawing of how a number went, in a line of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from agnes_site.core.markup import Tone

_HEIGHT, _BAR, _GAP = 36, 7, 2
_LOWEST = 2  # so that the smallest value is seen


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One value of a drawing, with what it says where the mouse rests."""

    value: float
    says: str
    tone: Tone = Tone.PLAIN


def sparkline(bars: Sequence[Bar], *, title: str, sums_up: str) -> SafeString:
    """Return a drawing of ``bars``, the newest on the right; ``sums_up`` says it in words."""
    if len(bars) < 2:
        return mark_safe("")
    highest = max(bar.value for bar in bars) or 1
    width = len(bars) * (_BAR + _GAP) - _GAP
    drawn = format_html_join(
        "",
        '<rect class="ag-{}" x="{}" y="{}" width="{}" height="{}" rx="1.5">'
        "<title>{}</title></rect>",
        (_drawn(bar, number, highest) for number, bar in enumerate(bars)),
    )
    return format_html(
        '<figure class="ag-spark"><figcaption>{}</figcaption>'
        '<svg role="img" aria-label="{}: {}" viewBox="0 0 {} {}" width="{}" height="{}" '
        'preserveAspectRatio="none">{}</svg><span class="ag-faint">{}</span></figure>',
        title,
        title,
        sums_up,
        width,
        _HEIGHT,
        width,
        _HEIGHT,
        drawn,
        sums_up,
    )


def _drawn(bar: Bar, number: int, highest: float) -> tuple[object, ...]:
    height = round(max(_LOWEST, bar.value / highest * _HEIGHT), 1)
    x, y = number * (_BAR + _GAP), round(_HEIGHT - height, 1)
    return bar.tone, x, y, _BAR, height, bar.says
