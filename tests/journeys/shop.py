"""A shop: one source of type files with one table, for journeys that need nothing more."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tests.journeys.installation import Installation, wait_until

LARGE = 3_000_000


def open_shop(installation: Installation, *, rows: int) -> Path:
    """Start the pages, add the source `shop` and its table `orders`, and return its folder."""
    folder = installation.folder / "company"
    folder.mkdir()
    write_orders(folder, rows=rows)
    installation.start_web()
    installation.add_files_source("shop", folder)
    installation.call(
        "POST", "/api/admin/register-table",
        {"name": "orders", "source": "shop", "source_table": "orders.csv"},
    )  # fmt: skip
    return folder


def write_orders(folder: Path, *, rows: int) -> None:
    """Write the file of the table."""
    beside = folder / ".orders"
    beside.write_text(
        "id,amount\n" + "".join(f"{number},{number * 7 % 1000}.50\n" for number in range(rows))
    )
    beside.rename(folder / "orders.csv")


def extract_something_large(installation: Installation) -> str:
    """Ask for a run that takes seconds, and return its id when it writes what it reads.

    The files tell; the page of the run tells nothing of the first half second, which may be all
    of it on a fast machine.
    """
    large = installation.folder / "company" / "large.csv"
    duckdb.execute(
        f"COPY (SELECT range AS id, 'text ' || range AS text FROM range({LARGE})) TO '{large}'"
    )
    installation.call("PUT", "/api/admin/registry/orders", {"source_table": large.name})
    (run_id,) = installation.extract("orders")
    wait_until(lambda: any(installation.layout.tmp.rglob("*.parquet")), seconds=60)
    return run_id
