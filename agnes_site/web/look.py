"""How the admin looks: its name, its colours, and what stands in the sidebar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def unfold(*, instance_name: str) -> dict[str, Any]:
    """Return the setting ``UNFOLD`` for an installation of this name."""
    return {
        "SITE_TITLE": instance_name,
        "SITE_HEADER": instance_name,
        "SITE_ICON": _static("web/icon.svg"),
        "SITE_URL": None,
        "SITE_FAVICONS": [
            {"rel": "icon", "type": "image/svg+xml", "href": _static("web/icon.svg")}
        ],
        "SHOW_HISTORY": False,
        "SHOW_VIEW_ON_SITE": False,
        "SHOW_BACK_BUTTON": True,
        "DASHBOARD_CALLBACK": "agnes_site.web.overview.dashboard",
        "STYLES": [
            _static(f"web/{name}.css")
            for name in ("agnes", "parts", "lists", "changes", "source", "search")
        ],
        "SCRIPTS": [
            _static(f"web/{name}.js")
            for name in ("agnes", "parts", "schedule", "search", "keyboard")
        ],
        "BORDER_RADIUS": "6px",
        "COLORS": {"primary": _TEAL},
        "SIDEBAR": {
            "show_search": False,
            "show_all_applications": False,
            "navigation": [
                {"items": [_item("Overview", "space_dashboard", "admin:index")]},
                {
                    "title": "Data",
                    "items": [
                        _list("Sources", "cable", "catalog_source"),
                        _list("Tables", "table", "catalog_table"),
                        _list("Folders", "folder", "catalog_folder"),
                        _list("Runs", "sync", "extracts_run"),
                        _list(
                            "Incidents",
                            "report",
                            "catalog_incident",
                            badge="agnes_site.web.overview.open_incidents_badge",
                        ),
                    ],
                },
                {
                    "title": "Access",
                    "items": [
                        _list("Users", "person", "access_user"),
                        _list("Groups", "group", "access_group"),
                        _list("Grants", "key", "access_grant"),
                        _list("Tokens", "password", "access_accesstoken"),
                    ],
                },
                {
                    "title": "System",
                    "items": [
                        _list("Audit", "history", "access_auditevent"),
                        _item("Import & export", "swap_vert", "exchange"),
                    ],
                },
            ],
        },
    }


def _static(path: str) -> Callable[[HttpRequest], str]:
    """Return what the framework asks for the address of a file, once it can be told."""
    return lambda request: static(path)


def _item(title: str, icon: str, url_name: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(url_name)}


def _list(title: str, icon: str, model: str, *, badge: str = "") -> dict[str, Any]:
    shown = _item(title, icon, f"admin:{model}_changelist")
    return {**shown, "badge": badge, "badge_variant": "danger"} if badge else shown


_TEAL = {
    "50": "#f0fdfa",
    "100": "#ccfbf1",
    "200": "#99f6e4",
    "300": "#5eead4",
    "400": "#2dd4bf",
    "500": "#14b8a6",
    "600": "#0f766e",
    "700": "#115e59",
    "800": "#134e4a",
    "900": "#0f3d3a",
    "950": "#042f2e",
}
