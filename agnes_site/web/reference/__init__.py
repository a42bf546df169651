"""The pages of ``docs/reference``, made from the code that they describe."""

from __future__ import annotations

from collections.abc import Mapping

from agnes_site.web.reference import api, cli, errors, settings


def pages() -> Mapping[str, str]:
    """Return the text of each generated page by the name of its file."""
    schema = api.schema()
    return {
        "openapi.json": api.as_json(schema),
        "api.md": api.page(schema),
        "cli.md": cli.page(cli.root()),
        "errors.md": errors.page(errors.found()),
        "settings.md": settings.page(),
    }
