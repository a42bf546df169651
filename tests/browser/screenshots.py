"""Renders the pages of the README: `python -m tests.browser.screenshots [folder]`.

Starts the demo in a folder of its own, photographs it and stops it again. The photographs go
to ``docs/images`` unless another folder is given.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.browser import chromium
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
_IS_SERVING = "Serving until"
_WIDTH, _HEIGHT = 1280, 800


@contextmanager
def demo(data: Path) -> Iterator[Mapping[str, Any]]:
    """Run the demo below ``data`` and yield where it is and who may sign in."""
    bind = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo"],
        cwd=ROOT,
        env={
            **os.environ, "DATA_DIR": str(data), "AGNES_BIND": bind, "SERVER_URL": f"http://{bind}",
        },
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        _wait_until_serving(process)
        yield json.loads((data / "demo.json").read_text(encoding="utf-8"))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def photograph(page: Page, server: str, folder: Path) -> None:
    """Write one picture for each page that the README shows, going from one to the next."""
    page.goto(f"{server}/admin/")
    _keep(page, folder / "overview.png")
    page.goto(f"{server}/admin/catalog/source/")
    page.get_by_role("link", name="Demo company").first.click()
    _keep(page, folder / "source.png")
    page.get_by_role("link", name="invoices", exact=True).first.click()
    _keep(page, folder / "table.png")
    page.get_by_role("link", name="Runs", exact=True).last.click()
    page.locator("#part-runs a[href*='/extracts/run/'] time").first.click()
    _keep(page, folder / "run.png")


def _keep(page: Page, file: Path) -> None:
    page.wait_for_load_state("networkidle")
    page.mouse.move(0, 0)
    page.screenshot(path=file)


def _wait_until_serving(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        sys.stdout.write(line)
        if line.startswith(_IS_SERVING):
            return
    raise SystemExit("The demo ended; what it said stands above.")


def main() -> None:
    """Render all pages."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    if chromium.installed() is None:
        raise SystemExit("Chromium is missing: apt install chromium")
    with (
        tempfile.TemporaryDirectory(prefix="agnes-screenshots-") as data,
        demo(Path(data)) as told,
        chromium.browser() as browser,
    ):
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
        admin = told["admin"]
        chromium.sign_in(page, told["url"], email=admin["email"], password=admin["password"])
        photograph(page, told["url"], folder)


if __name__ == "__main__":
    main()
