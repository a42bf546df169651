"""One line of the page: what was measured, against what, and whether that is within the budget."""

from __future__ import annotations

from dataclasses import dataclass

_DIGITS_UP_TO = ((1, 2), (100, 1))


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured value, and the value of the comparison from the same run.

    ``budget`` is in the unit of the value, ``ratio_budget`` a multiple of the comparison.
    Without ``value`` the figure could not be measured; ``remark`` says why. ``lacks`` names the
    program without which it was not measured, or not judged.
    """

    what: str
    unit: str = ""
    value: float | None = None
    compared_with: str = ""
    compared: float | None = None
    budget: float | None = None
    ratio_budget: float | None = None
    remark: str = ""
    lacks: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the comparison this is."""
        if self.value is None or not self.compared:
            return None
        return self.value / self.compared

    @property
    def verdict(self) -> str:
        """Whether the budgets are met; empty where there is none."""
        if self.value is None:
            return "not measured"
        held = []
        if self.budget is not None:
            held.append(self.value <= self.budget)
        if self.ratio_budget is not None and self.ratio is not None:
            held.append(self.ratio <= self.ratio_budget)
        return ("met" if all(held) else "missed") if held else ""

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """Return what the columns of a table show."""
        limits = []
        if self.budget is not None:
            limits.append(f"≤ {_plain(self.budget)} {self.unit}".strip())
        if self.ratio_budget is not None:
            limits.append(f"≤ {_plain(self.ratio_budget)} x")
        return (
            self.what,
            "-" if self.value is None else f"{_rounded(self.value)} {self.unit}".strip(),
            self.compared_with
            + ("" if self.compared is None else f": {_rounded(self.compared)} {self.unit}"),
            "" if self.ratio is None else f"{self.ratio:.2f} x",
            ", ".join(limits),
            self.verdict,
        )


def _rounded(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    for limit, digits in _DIGITS_UP_TO:
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}".replace(",", " ")


def _plain(value: float) -> str:
    return f"{value:g}" if value < 10_000 else _rounded(value)
