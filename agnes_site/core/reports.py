"""What Django's page about an error may show with DEBUG: places in the code, and no values."""

from __future__ import annotations

import re
from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class PlacesOnly(SafeExceptionReporterFilter):
    """Leaves out variables, what was sent in forms, and the environment: any may be a secret."""

    hidden_settings = re.compile(
        "API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|COOKIE|BROKER_URL|LOCATION", flags=re.IGNORECASE
    )
    shown_meta = re.compile("HTTP_|REQUEST_|PATH_|QUERY_|CONTENT_|SERVER_|REMOTE_")

    def is_active(self, request: HttpRequest | None) -> bool:
        """Say that it is, with DEBUG too."""
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        """Return the names of what was sent."""
        return dict.fromkeys(getattr(request, "POST", {}), self.cleansed_substitute)

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        """Return nothing of the variables."""
        nothing: dict[str, Any] = {}
        return nothing.items()

    def get_safe_request_meta(self, request: HttpRequest) -> dict[str, Any]:
        """Return what the request says of itself, without the environment of the server."""
        found = super().get_safe_request_meta(request)
        return {name: value for name, value in found.items() if self.shown_meta.match(name)}
