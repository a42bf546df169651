"""The server's API: who calls, what is read of every answer, and errors in our words."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from analyst_cli import VERSION
from analyst_cli.errors import ApiError, CliError, NotSignedInError, TransportError
from analyst_cli.transport import Response, Session

_MAX_ERROR_BYTES = 64 << 10
_MAX_JSON_BYTES = 256 << 20
_OURS = {
    "Accept-Encoding": "identity",
    "User-Agent": f"agnes/{VERSION} ({sys.platform})",
    "X-Agnes-Client": f"agnes/{VERSION}; parts",
}
# For answers that do not say what to do next: Agnes itself always does.
_HINTS = {407: "A proxy wants a password: put it into HTTPS_PROXY (http://user:password@proxy)."}
_HINT_OF_SERVER_ERROR = "Try again later; if it stays like this, tell the administrator."


class TooOldError(CliError):
    """The server does not speak with this version of the client any more."""

    code = "client_too_old"
    exit_code = 2
    hint = "Install the current client: `uv tool install --upgrade agnes`."


class NotAgnesError(CliError):
    """Something answered that is not an Agnes server."""

    code = "not_agnes"
    hint = "Check the address; a proxy, a login page or a captive portal may be in between."


@dataclass(frozen=True, kw_only=True)
class ManifestAnswer:
    """What the server says about the manifest; ``body`` is ``None`` when it has not changed."""

    etag: str
    body: dict[str, Any] | None


class AgnesClient:
    """One caller at one server, with the connections of one thread."""

    def __init__(self, *, server: str, token: str) -> None:
        self.server = server
        self._token = token
        self._session = Session()

    def get_json(self, path: str, **query: str) -> dict[str, Any]:
        """Return the JSON object at ``path``.

        Raises:
            ApiError, NotSignedInError, TransportError: there is no such answer.
            NotAgnesError: the answer is not JSON.
        """
        url = self.server + path + (f"?{urlencode(query)}" if query else "")
        response = self._get(url, headers={"Accept": "application/json"})
        try:
            return self._object(response)
        finally:
            response.close()

    def get_manifest(self, *, etag: str = "") -> ManifestAnswer:
        """Ask for the manifest, unless it is still the one of ``etag``."""
        headers = {"Accept": "application/json"} | ({"If-None-Match": etag} if etag else {})
        response = self._get(self.server + "/api/sync/manifest", headers=headers)
        try:
            if response.status == 304 and etag:
                response.read(1)
                return ManifestAnswer(etag=etag, body=None)
            body = self._object(response)
        finally:
            response.close()
        if not isinstance(body.get("tables"), dict):
            raise NotAgnesError(f"{self.server} did not send a manifest.")
        return ManifestAnswer(etag=response.headers.get("ETag") or "", body=body)

    def open_download(
        self, table: str, *, query: dict[str, str], headers: dict[str, str]
    ) -> Response:
        """Start a download; the caller reads and closes. 416 is an answer, not an error."""
        url = f"{self.server}/api/data/{quote(table, safe='')}/download"
        url += f"?{urlencode(query)}" if query else ""
        return self._get(url, headers=headers, may_leave=True)

    def report_damage(self, table: str, *, sha256: str, found: str) -> None:
        """Tell the server that a file comes with a wrong hash, so that it checks its own.

        Raises:
            ApiError, NotSignedInError, TransportError: it does not listen.
        """
        url = f"{self.server}/api/data/{quote(table, safe='')}/report"
        body = json.dumps({"sha256": sha256, "found": found}).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        self._checked(
            self._session.post(url, token=self._token, headers=_OURS | headers, body=body)
        ).close()

    def another(self) -> AgnesClient:
        """Return the same caller with connections of its own, for another thread."""
        return AgnesClient(server=self.server, token=self._token)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _get(self, url: str, *, headers: dict[str, str], may_leave: bool = False) -> Response:
        return self._checked(
            self._session.get(url, token=self._token, headers=_OURS | headers, may_leave=may_leave)
        )

    def _checked(self, response: Response) -> Response:
        try:
            _check_version(response)
            if response.status >= 400 and response.status != 416:
                raise _error(self.server, response)
        except BaseException:
            response.close()
            raise
        return response

    def _object(self, response: Response) -> dict[str, Any]:
        text = response.read(_MAX_JSON_BYTES)
        if response.status != 200:
            raise NotAgnesError(
                f"{self.server} answered HTTP {response.status} without being asked."
            )
        announced = response.headers.get("Content-Length") or ""
        if announced.isdigit() and int(announced) != len(text) < _MAX_JSON_BYTES:
            raise TransportError(
                f"The answer of {self.server} ended after {len(text)} of {announced} bytes.",
                hint="Try again; if it stays like this, a proxy may be in between.",
            )
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise NotAgnesError(f"{self.server} does not answer like an Agnes server.")
        return body


def _check_version(response: Response) -> None:
    least = response.headers.get("X-Agnes-Min-Version") or ""
    if least and _numbers(VERSION) < _numbers(least):
        raise TooOldError(f"agnes {VERSION} is too old for this server, which wants {least}.")


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version.strip())
    return tuple(int(number) for number in found[0].split(".")) if found else ()


def _error(server: str, response: Response) -> CliError:
    body = _error_body(response)
    message = str(body.get("message") or "") or f"The server answered HTTP {response.status}."
    hint = str(body["hint"]) if body.get("hint") else None
    if not body:
        other = _HINT_OF_SERVER_ERROR if response.status >= 500 else NotAgnesError.hint
        hint = _HINTS.get(response.status, other)
    if response.status == 401:
        return NotSignedInError(f"{server} does not accept the token: {message}", hint=hint)
    request_id = body.get("request_id") or response.headers.get("X-Request-Id")
    if response.status >= 500 and request_id:
        message += f" (request {request_id})"
    return ApiError(
        message,
        status=response.status,
        code=str(body.get("code") or f"http_{response.status}"),
        hint=hint,
        retry_after=_retry_after(response.headers.get("Retry-After") or ""),
    )


def _error_body(response: Response) -> dict[str, Any]:
    """Return the error with flat keys, whichever of the known shapes it came in."""
    try:
        body = json.loads(response.read(_MAX_ERROR_BYTES))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(body, dict):
        return {}
    detail = body.get("detail")
    if isinstance(detail, str):
        return {"message": detail} | body
    if isinstance(detail, dict):
        code = detail.get("code") or detail.get("reason") or detail.get("kind")
        return {"code": code} | detail | body
    return body


def _retry_after(text: str) -> float | None:
    """Return the seconds to wait that a header names, as a number or as a date."""
    if text.isdecimal():
        return float(text)
    if not text:
        return None
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(tz=UTC)).total_seconds()) if at.tzinfo else None
