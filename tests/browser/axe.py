"""What axe-core finds wrong with a page for people who cannot see it well, or use a mouse."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_COUNTS = ("serious", "critical")


def found_on(page: Page) -> list[str]:
    """Return what is serious: the rule and the place, one a line."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{found['id']}: {node['target'][0]}"
        for found in violations
        if found["impact"] in _COUNTS
        for node in found["nodes"]
    ]
