"""Export and import of the registry, groups and grants, as YAML or CSV.

An import is a plan first: what is added, changed and removed, tried and taken back. The plan that
is applied is the plan that was shown.
"""

from __future__ import annotations

from enum import StrEnum

from catalog.services.exchange import csv_format, yaml_format
from catalog.services.exchange.document import (
    SIZE_LIMIT,
    Document,
    DocumentInvalidError,
    Problem,
    kind_named,
    unknown,
)
from catalog.services.exchange.kinds import KINDS
from catalog.services.exchange.plan import (
    Action,
    Change,
    ImportRefusedError,
    Plan,
    PlanOutdatedError,
    apply,
    make,
)


class Format(StrEnum):
    """How a document is written."""

    YAML = "yaml"
    CSV = "csv"


def format_named(name: str) -> Format:
    """Return the format of this name.

    Raises:
        DocumentInvalidError: there is no such format.
    """
    if name not in list(Format):
        raise DocumentInvalidError(unknown(name, Format, what="format").capitalize())
    return Format(name)


def write(*, as_format: Format, kind: str = "") -> str:
    """Return everything, or everything of one kind, as a document.

    Raises:
        DocumentInvalidError: there is no such kind, or CSV without one.
    """
    if as_format is Format.YAML:
        return yaml_format.write([kind_named(kind)] if kind else KINDS)
    if not kind:
        raise DocumentInvalidError(
            "A CSV file lists one kind of thing.",
            hint=f"Say which: {', '.join(each.name for each in KINDS)}.",
        )
    return csv_format.write(kind_named(kind))


def read(content: bytes, *, file_name: str = "", kind: str = "") -> Document:
    """Read a document; CSV is known by the ending of its name, or by ``kind``.

    Raises:
        DocumentInvalidError: it is too large, not UTF-8, or cannot be read.
    """
    if len(content) > SIZE_LIMIT:
        raise DocumentInvalidError(
            f"The document has more than {SIZE_LIMIT // 1000**2} MB.",
            hint="Import one kind at a time.",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentInvalidError(f"Byte {error.start + 1} is not UTF-8.") from None
    if file_name.lower().endswith(".csv") or (kind and not text.lstrip().startswith("agnes")):
        chosen = kind_named(kind) if kind else csv_format.kind_of(text, file_name=file_name)
        return csv_format.read(text, chosen)
    return yaml_format.read(text)


__all__ = [
    "KINDS",
    "SIZE_LIMIT",
    "Action",
    "Change",
    "Document",
    "DocumentInvalidError",
    "Format",
    "ImportRefusedError",
    "Plan",
    "PlanOutdatedError",
    "Problem",
    "apply",
    "format_named",
    "make",
    "read",
    "write",
]
