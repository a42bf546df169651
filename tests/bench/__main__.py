"""`python -m tests.bench`: measure, print, and write docs/reference/performance.md."""

from __future__ import annotations

import shutil
import tempfile
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click

from tests.bench import machine, report
from tests.bench.bench import Bench, WrongResultError
from tests.bench.figures import Figure
from tests.bench.measurements import NAMES
from tests.bench.report import Section


class LackingError(click.ClickException):
    """Programs that are needed for some of the figures are not there."""

    exit_code = 3


@click.command()
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Measure this; repeatable.")
@click.option(
    "--quick", is_flag=True, help="Small sizes: does everything work? Figures say little."
)
@click.option("--with-install", is_flag=True, help="Also install the client, from the registry.")
@click.option(
    "--load-seconds", type=click.IntRange(min=5), default=600, show_default=True,
    help="How long the company is at work; a quick run takes eight.",
)  # fmt: skip
@click.option(
    "--write/--no-write", default=None,
    help="Write the page; the default of a whole run that is not quick.",
)  # fmt: skip
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where to put some gigabytes for a while; the folder of temporary files if not given.",
)  # fmt: skip
def main(
    *,
    only: tuple[str, ...],
    quick: bool,
    with_install: bool,
    load_seconds: int,
    write: bool | None,
    folder: Path | None,
) -> None:
    """Measure Agnes against its budgets.

    Nothing is installed unless asked for. What is missing is said; the rest is measured, and the
    exit code is 3.

    Examples:

    \b
        python -m tests.bench
        python -m tests.bench --quick
        python -m tests.bench --only start --only manifest
    """
    is_whole = not (quick or only)
    if write and not is_whole:
        raise click.UsageError(
            "The page is of one whole run: --write fits neither --only nor --quick."
        )
    scratch = Path(tempfile.mkdtemp(prefix="agnes-bench-", dir=folder))
    try:
        sections = [
            _measured(
                name,
                Bench(
                    folder=scratch / name,
                    is_quick=quick,
                    may_install=with_install,
                    load_seconds=8 if quick else load_seconds,
                ),
            )
            for name in only or NAMES
        ]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    figures = [figure for section in sections for figure in section.figures]
    click.echo("\n".join(report.summary(figures)))
    if is_whole if write is None else write:
        today = datetime.now(tz=UTC).date()
        report.write(report.page(sections, facts=machine.facts(), today=today))
        click.echo("Wrote docs/reference/performance.md.")
    if any(section.has_failed for section in sections):
        raise click.ClickException("A measurement failed; what it said is above.")
    if lacking := sorted({figure.lacks for figure in figures if figure.lacks}):
        raise LackingError(f"Not all was measured: {', '.join(lacking)} must be installed for it.")


def _measured(name: str, bench: Bench) -> Section:
    """Make one measurement in a folder that exists while it lasts."""
    module = import_module(f"tests.bench.measurements.{name}")
    bench.folder.mkdir()
    busy = machine.busy_share()
    started = time.monotonic()
    click.echo(f"{name} (processors in use before: {busy:.0%})")
    figures: list[Figure] = []
    has_failed = False
    try:
        for figure in module.measure(bench):
            figures.append(figure)
            click.echo(report.line(figure))
    except WrongResultError as error:
        has_failed = True
        click.echo(f"  Failed: {error}", err=True)
        figures.append(Figure(what=f"the rest of {name}", remark=f"Failed: {error.summary}"))
    finally:
        shutil.rmtree(bench.folder, ignore_errors=True)
    seconds = time.monotonic() - started
    click.echo(f"  ({seconds:.0f} s)")
    return Section(
        name=name, text=str(module.__doc__), busy=busy, figures=figures, has_failed=has_failed
    )  # fmt: skip


if __name__ == "__main__":
    main()
