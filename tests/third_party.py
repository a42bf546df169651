"""Leaves packages where Python finds them, as if they had been installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def describe(site_packages: Path, package: str, points: Mapping[str, str]) -> None:
    """Say that ``package`` is installed and has these connectors, by the names of their points."""
    described = site_packages / f"{package.replace('-', '_')}-1.0.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Name: {package}\nVersion: 1.0.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (described / "entry_points.txt").write_text(f"[agnes.connectors]\n{lines}")
