"""The files of the demo company, made when they are not there yet."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agnes_site.core.storage import remove_folder
from agnes_site.demo import generator


@dataclass(frozen=True, kw_only=True)
class CompanyFiles:
    """Where the company's files are, and what they hold by table: rows and bytes."""

    folder: Path
    tables: dict[str, tuple[str, str, str]]
    rows: int
    bytes: int
    is_new: bool


def company_files(folder: Path, *, scale: float, seed: int) -> CompanyFiles:
    """Return the company's files below ``folder``; they are made unless they are there already."""
    marker = folder.with_suffix(".json")
    recipe = {"scale": scale, "seed": seed, "sql": _fingerprint()}
    found = _read(marker)
    is_new = found.get("recipe") != recipe or not folder.is_dir()
    if is_new:
        marker.unlink(missing_ok=True)
        remove_folder(folder)
        made = generator.generate(folder, scale=scale, seed=seed)
        found = {
            "recipe": recipe,
            "rows": sum(table.rows for table in made),
            "bytes": sum(table.bytes for table in made),
            "tables": {t.name: [t.pattern, t.primary_key, t.description] for t in made},
        }
        marker.write_text(json.dumps(found, indent=2), encoding="utf-8")
    return CompanyFiles(
        folder=folder,
        tables={name: (each[0], each[1], each[2]) for name, each in found["tables"].items()},
        rows=found["rows"],
        bytes=found["bytes"],
        is_new=is_new,
    )


def _read(marker: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _fingerprint() -> str:
    return hashlib.sha256(
        Path(generator.__file__).with_name("company.sql").read_bytes()
    ).hexdigest()
