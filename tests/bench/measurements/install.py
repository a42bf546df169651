"""What the client takes on a laptop.

Its locked requirements and its wheel, installed into a fresh virtual environment; without pip
itself. This needs the registry of packages, so it is done with `--with-install` only.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from analyst_cli import VERSION
from tests.bench.bench import Bench, WrongResultError, check
from tests.bench.figures import Figure
from tests.journeys.installation import ROOT

_NOT_OURS = frozenset({"pip", "setuptools", "wheel"})


def measure(bench: Bench) -> Iterator[Figure]:
    """Count the packages and the bytes on disk of a fresh installation."""
    packages = Figure(what="packages of the client", budget=25)
    size = Figure(what="size on disk of the client", unit="MB", budget=130)
    if not bench.may_install:
        remark = "The client was not installed: add `--with-install`, which needs the registry."
        yield replace(packages, remark=remark)
        yield replace(size, remark=remark)
        return
    python = bench.folder / "venv" / "bin" / "python"
    _run(sys.executable, "-m", "venv", str(bench.folder / "venv"))
    empty = _disk_bytes(bench.folder / "venv")
    _install(python, wheels=bench.folder / "wheels")
    agnes = _run(str(python.with_name("agnes")), "--version").strip()
    check(agnes, f"agnes {VERSION}", what="the version of the installed client")
    yield replace(packages, value=len(_packages(python)))
    yield replace(size, value=(_disk_bytes(bench.folder / "venv") - empty) / 1e6)


def _install(python: Path, *, wheels: Path) -> None:
    pip = (str(python), "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
        "--wheel-dir", str(wheels), str(ROOT),
    )  # fmt: skip
    _run(*pip, "install", "--require-hashes", "-r", str(ROOT / "requirements" / "client.txt"))
    _run(*pip, "install", "--no-deps", "--no-index", *map(str, wheels.glob("agnes-*.whl")))


def _packages(python: Path) -> set[str]:
    listed = json.loads(_run(str(python), "-m", "pip", "list", "--format", "json"))
    return {package["name"] for package in listed} - _NOT_OURS


def _disk_bytes(folder: Path) -> int:
    files = (path.lstat() for path in folder.rglob("*"))
    return sum(found.st_blocks * 512 for found in files)


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WrongResultError(f"{' '.join(command[:4])} failed: {done.stderr[-2000:]}")
    return done.stdout
