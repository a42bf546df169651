"""A Chromium that speaks to nobody but the page it is shown."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def installed() -> str | None:
    """Return where Chromium is, or ``None``: `apt install chromium`."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def browser() -> Iterator[Browser]:
    """Run a Chromium while the block runs."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=installed(), args=_ARGUMENTS)
        try:
            yield started
        finally:
            started.close()


def sign_in(page: Page, server: str, *, email: str, password: str) -> None:
    """Sign in as a person does, and wait for the overview."""
    page.goto(f"{server}/admin/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server}/admin/")
