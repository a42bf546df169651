"""A browser, and an administrator's page in it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; in CI its absence is a failure."""
    if chromium.installed() is None:
        message = "needs Chromium: apt install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with chromium.browser() as started:
        # Playwright keeps an event loop in this thread, which Django takes for asynchronous code.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
        yield started
        os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE")


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about during the test."""
    return []


@pytest.fixture
def context(browser) -> Iterator[BrowserContext]:
    """A browser that nobody has used."""
    made = browser.new_context(viewport={"width": 1400, "height": 900})
    made.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    yield made
    made.close()


@pytest.fixture
def page(context, complaints) -> Page:
    """A page whose errors are collected in ``complaints``."""
    opened: Page = context.new_page()
    opened.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    return opened


@pytest.fixture
def admin_page(page, live_server, admin, settings) -> Page:
    """A page on which an administrator has signed in."""
    settings.CSRF_TRUSTED_ORIGINS = [live_server.url]
    chromium.sign_in(page, live_server.url, email=admin.email, password="correct horse")
    return page
