"""Timing whole processes and calls: medians of rounds in which the compared take turns."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from tests.bench.bench import WrongResultError

Timed = Callable[[], float]


def process_seconds(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, said: str = ""
) -> float:
    """Run a command to its end and return how long the whole process took.

    Raises:
        WrongResultError: it failed, or did not print ``said``.
    """
    started = time.perf_counter()
    done = subprocess.run(
        command, env=dict(env), cwd=cwd, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    printed = done.stdout + done.stderr
    if done.returncode or said not in printed:
        raise WrongResultError(f"{command[0]} ended with {done.returncode}: {printed[-2000:]}")
    return seconds


def call_seconds(called: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    called()
    return time.perf_counter() - started


def medians(rounds: int, timed: Mapping[str, Timed]) -> dict[str, float]:
    """Return the median of each, by name.

    Each round measures all of them once, so that whatever slows the machine slows them alike.
    """
    taken: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(rounds):
        for name, measure in timed.items():
            taken[name].append(measure())
    return {name: median(values) for name, values in taken.items()}
