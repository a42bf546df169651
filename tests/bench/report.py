"""The figures as lines of a terminal, and as the page docs/reference/performance.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tests.bench.figures import Figure
from tests.journeys.installation import ROOT

PAGE = ROOT / "docs" / "reference" / "performance.md"
_COLUMNS = ("What", "Measured", "Compared with", "Ratio", "Budget", "")


@dataclass(frozen=True, kw_only=True)
class Section:
    """One measurement: its text, its figures, and how busy others kept the machine before it."""

    name: str
    text: str
    busy: float
    figures: Sequence[Figure]
    has_failed: bool = False


def line(figure: Figure) -> str:
    """Return a figure as one line of a terminal."""
    what, measured, compared, ratio, budget, verdict = figure.cells()
    against = f" ({compared}: {ratio})" if ratio else ""
    limit = f"; budget {budget}: {verdict}" if budget else ""
    remark = f" [{figure.remark}]" if figure.remark else ""
    return f"  {what}: {measured}{against}{limit}{remark}"


def page(sections: Sequence[Section], *, facts: Mapping[str, str], today: date) -> str:
    """Return the page."""
    busy = ", ".join(f"{section.name} {section.busy:.0%}" for section in sections)
    head = [
        "<!-- Written by `make bench`; measure again instead of changing it. -->",
        "",
        "# Performance",
        "",
        f"Measured on {today.isoformat()} by `make bench`, in one run on one machine. Times are",
        "medians. A ratio compares two things of the same run, so it says more than a time. Each",
        "result was checked before it was counted.",
        "",
        *(f"- {name}: {fact}" for name, fact in facts.items()),
        f"- Processors in use by others just before: {busy}",
        "",
        *summary([figure for section in sections for figure in section.figures]),
    ]
    return "\n".join(head + [text for section in sections for text in _section(section)]) + "\n"


def summary(figures: Sequence[Figure]) -> list[str]:
    """Return lines that say how many budgets are met, and which are missed or not measured."""
    judged = [figure for figure in figures if figure.verdict in ("met", "missed")]
    missed = [f"- {figure.what}" for figure in judged if figure.verdict == "missed"]
    absent = [f"- {figure.what}" for figure in figures if figure.value is None]
    lines = [f"{len(judged) - len(missed)} of {len(judged)} budgets are met."]
    if missed:
        lines += ["", "Missed:", "", *missed]
    if absent:
        lines += ["", "Not measured:", "", *absent]
    return lines


def write(text: str, path: Path = PAGE) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _section(section: Section) -> list[str]:
    title, _, text = section.text.strip().partition("\n\n")
    remarks = [figure.remark for figure in section.figures if figure.remark]
    return [
        "",
        f"## {title.rstrip('.')}",
        "",
        *([text, ""] if text else []),
        _row(_COLUMNS),
        _row(("---",) * len(_COLUMNS)),
        *(_row(figure.cells()) for figure in section.figures),
        *(f"\n{remark}" for remark in dict.fromkeys(remarks)),
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
