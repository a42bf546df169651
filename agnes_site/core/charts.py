"""Small drawings of numbers, each with the same numbers as a table or in words.

They are SVG without scripts; the colours are those of the theme, by the classes of
``web/charts.css``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from agnes_site.core import markup
from agnes_site.core.markup import Tone

_STEP, _WIDE, _HIGH = 10, 7, 100


@dataclass(frozen=True, kw_only=True)
class Column:
    """One upright bar: what it is called, what it is made of, and what it says in words."""

    name: str
    parts: Sequence[tuple[Tone, float]]
    says: str


@dataclass(frozen=True, kw_only=True)
class Share:
    """A part of a whole; ``shown`` is how its size is written, if not as a number."""

    name: str
    count: int
    tone: Tone
    shown: str = ""

    @property
    def size(self) -> str:
        """Its size, as it is written."""
        return self.shown or f"{self.count:,}"


def columns(found: Sequence[Column], *, sums_up: str) -> SafeString:
    """Return bars side by side, the same scale for all, and a table of what they say."""
    highest = max((sum(size for _, size in each.parts) for each in found), default=0) or 1
    bars = mark_safe("".join(_column(number, each, highest) for number, each in enumerate(found)))
    return format_html(
        '<div class="ag-chart"><p class="ag-sum">{}</p>'
        '<svg role="img" aria-label="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">{}</svg>'
        '<div class="ag-ends" aria-hidden="true"><span>{}</span><span>{}</span></div>{}</div>',
        sums_up,
        sums_up,
        len(found) * _STEP,
        _HIGH,
        bars,
        found[0].name if found else "",
        found[-1].name if found else "",
        _as_table([(each.name, each.says) for each in found]),
    )


def shares(parts: Sequence[Share], *, sums_up: str) -> SafeString:
    """Return one bar of several colours and what each of them is."""
    total = sum(part.count for part in parts)
    drawn, start = [], 0.0
    for part in parts:
        width = 100 * part.count / (total or 1)
        drawn.append((part.tone, round(start, 2), round(width, 2), f"{part.name}: {part.size}"))
        start += width
    bar = format_html_join(
        "",
        '<rect class="ag-fill-{}" x="{}" width="{}" height="10"><title>{}</title></rect>',
        drawn,
    )
    return format_html(
        '<div class="ag-chart"><svg class="ag-share" role="img" aria-label="{}" '
        'viewBox="0 0 100 10" preserveAspectRatio="none">{}</svg><ul class="ag-legend">{}</ul>'
        "</div>",
        sums_up,
        bar,
        format_html_join("", "<li>{}</li>", ((_legend(part),) for part in parts)),
    )


def level(value: float, highest: float, *, tone: Tone = Tone.BUSY) -> SafeString:
    """Return how much ``value`` is of ``highest``, for beside the number itself."""
    width = 100 * value / highest if highest else 0
    return format_html(
        '<svg class="ag-level" aria-hidden="true" viewBox="0 0 100 8" preserveAspectRatio="none">'
        '<rect class="ag-track" width="100" height="8"/>'
        '<rect class="ag-fill-{}" width="{}" height="8"/></svg>',
        tone,
        round(max(width, 1), 1),
    )


def trend(values: Sequence[float], *, says: str) -> SafeString:
    """Return the way of a number, the newest on the right; nothing for less than two."""
    if len(values) < 2:
        return mark_safe("")
    highest = max(values) or 1
    step = 100 / (len(values) - 1)
    points = " ".join(
        f"{number * step:.1f},{22 - 20 * value / highest:.1f}"
        for number, value in enumerate(values)
    )
    return format_html(
        '<svg class="ag-trend" role="img" aria-label="{}" viewBox="0 0 100 24" '
        'preserveAspectRatio="none"><polyline points="{}" vector-effect="non-scaling-stroke"/>'
        "<title>{}</title></svg>",
        says,
        points,
        says,
    )


def _column(number: int, each: Column, highest: float) -> SafeString:
    left = number * _STEP + (_STEP - _WIDE) / 2
    drawn, top = [], float(_HIGH)
    for tone, size in each.parts:
        height = _HIGH * size / highest
        if size:
            # Whatever is there at all is seen.
            height = max(height, 1.5)
        top -= height
        drawn.append((tone, left, round(max(top, 0), 2), _WIDE, round(height, 2)))
    bars = format_html_join(
        "",
        '<rect class="ag-fill-{}" x="{}" y="{}" width="{}" height="{}"/>',
        drawn,
    )
    ground = format_html(
        '<rect class="ag-ground" x="{}" width="{}" height="{}"/>', number * _STEP, _STEP, _HIGH
    )
    return format_html("<g>{}{}<title>{}: {}</title></g>", ground, bars, each.name, each.says)


def _legend(part: Share) -> SafeString:
    return format_html(
        '<span class="ag-dot ag-dot-{}"></span><strong>{}</strong> {}',
        part.tone,
        part.size,
        part.name,
    )


def _as_table(rows: Sequence[tuple[str, str]]) -> SafeString:
    listed = markup.grid(["Day", "What"], list(reversed(rows)))
    return format_html(
        '<details class="ag-as-table"><summary>As a table</summary>{}</details>', listed
    )
