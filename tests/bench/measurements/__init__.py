"""The measurements: modules with ``measure(bench)``, whose docstring is their text in the page."""

NAMES = (
    "start", "install", "manifest", "pages", "rebuild", "pull", "extract", "database", "memory",
    "demo", "load",
)  # fmt: skip
