"""How this server differs from the recorded one: each difference with its reason.

`PENDING` only shrinks: an entry that is no longer needed fails the test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.journeys.recording import Exchange


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Recorded exchanges that need a room or a connector which is not there yet."""

    method: str
    path: str
    statuses: frozenset[int]
    reason: str

    def covers(self, exchange: Exchange) -> bool:
        """Say whether the exchange is one of these."""
        return (
            exchange.method == self.method
            and fnmatchcase(exchange.path, self.path)
            and exchange.status in self.statuses
        )


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """Recorded exchanges that are answered with another status on purpose."""

    method: str
    path: str
    recorded: int
    answered: int
    reason: str
    # What the request says, where the address alone does not tell which exchange is meant.
    says: tuple[str, str] | None = None

    def covers(self, exchange: Exchange) -> bool:
        """Say whether the exchange is one of these."""
        return (
            exchange.method == self.method
            and fnmatchcase(exchange.path, self.path)
            and exchange.status == self.recorded
            and (self.says is None or self.says in exchange.sent.items())
        )


def _pending(method: str, path: str, *statuses: int, reason: str) -> Pending:
    return Pending(method=method, path=path, statuses=frozenset(statuses), reason=reason)


QUERIES = "Statements on the server need the query cell."
SAMPLES = "Rows over HTTP need the query cell."
SNAPSHOTS = "Snapshots of a server's table need the query cell."
UPLOADS = "Sessions and notes are kept by the room for agents' work."
METRICS = "Metric definitions have their own room."
MARKETPLACE = "Plugins have their own room."
ONBOARDING = "The home page and its onboarding come with the web pages."

PENDING = (
    _pending("POST", "/api/query", 200, 400, 403, reason=QUERIES),
    _pending("GET", "/api/v2/sample/*", 200, reason=SAMPLES),
    _pending("POST", "/api/v2/scan", 200, 500, reason=SNAPSHOTS),
    _pending("POST", "/api/v2/scan/estimate", 200, 400, 403, 500, reason=SNAPSHOTS),
    _pending("POST", "/api/upload/sessions", 200, reason=UPLOADS),
    _pending("POST", "/api/upload/local-md", 200, reason=UPLOADS),
    _pending("GET", "/api/metrics", 200, reason=METRICS),
    _pending("GET", "/api/metrics/sales/total_orders", 200, reason=METRICS),
    _pending("POST", "/api/admin/metrics/import", 200, reason=METRICS),
    _pending("GET", "/api/my-stack", 200, reason=MARKETPLACE),
    _pending("GET", "/api/marketplace/items", 200, reason=MARKETPLACE),
    _pending("GET", "/home", 200, reason=ONBOARDING),
    _pending("POST", "/api/me/onboarded", 200, reason=ONBOARDING),
    _pending("GET", "/docs", 200, reason="The API's pages for people come with the web pages."),
    _pending(
        "POST", "/api/admin/register-table", 400,
        reason="What a BigQuery table lacks is said by the BigQuery connector.",
    ),
    _pending(
        "POST", "/auth/token", 401,
        reason="Signing in by password from a terminal comes with the other ways to sign in.",
    ),
)  # fmt: skip

DEVIATIONS = (
    Deviation(
        method="HEAD", path="/api/data/*/download", recorded=405, answered=200,
        reason="Saves the client the request for one byte that it sends after a 405.",
    ),
    Deviation(
        method="GET", path="/api/v2/schema/salaries", recorded=403, answered=404,
        reason="What is not granted looks like what does not exist.",
    ),
    Deviation(
        method="GET", path="/api/v2/schema/events", recorded=500, answered=200,
        reason="A remote table without known columns is no error.",
    ),
    Deviation(
        method="POST", path="/api/admin/grants", recorded=201, answered=404,
        says=("resource_id", "nosuch"),
        reason="A grant on nothing would come into force for whatever is given that name later.",
    ),
    Deviation(
        method="GET", path="/login", recorded=200, answered=302,
        reason="Kept as a link: the page is below /accounts/.",
    ),
)  # fmt: skip

_DIRECTORY = "Nothing is synchronised from a company's directory, and the client does not read it."
_INVITATIONS = "No mail is sent, and the client does not read it."
_UNREAD = "The client does not read it."

# Recorded fields that are not sent, by method and endpoint.
UNSENT: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("GET", "/api/health"): {"body.current": _UNREAD, "body.expected": _UNREAD},
    ("GET", "/api/health/detailed"): {
        f"body.{name}": _UNREAD
        for name in ("channel", "image_tag", "commit_sha", "schema_version", "deployed_at")
    },
    ("GET", "/api/memory/bundle"): {"body.token_estimate": _UNREAD, "body.token_budget": _UNREAD},
    ("GET", "/api/admin/registry"): {"body.tables[].profile_after_sync": _UNREAD},
    ("POST", "/api/admin/register-table/precheck"): {"body.table.note": _UNREAD},
    ("GET", "/api/admin/groups"): {
        f"body[].{name}": _DIRECTORY for name in ("created_by", "is_google_managed", "mapped_email")
    },
    ("POST", "/api/admin/groups"): {
        f"body.{name}": _DIRECTORY for name in ("created_by", "is_google_managed", "mapped_email")
    },
    ("GET", "/api/users"): {
        f"body[].{name}": _INVITATIONS
        for name in ("is_sso_user", "deactivated_at", "invite_url", "invite_email_sent")
    },
    ("POST", "/api/users"): {
        f"body.{name}": _INVITATIONS
        for name in ("is_sso_user", "deactivated_at", "invite_url", "invite_email_sent")
    },
}

# Recorded fields that can be null here, by method and endpoint.
NULLABLE: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("GET", "/api/sync/manifest"): {
        "body.tables[].updated": "A remote table was never published. " + _UNREAD,
    },
}

# Tables that every user of the recorded server saw: they belong to a room of their own.
INTERNAL_TABLES = frozenset({"agnes_audit", "agnes_sessions", "agnes_telemetry"})

# Types of sources of the recording whose place another one takes in requests.
SOURCE_TYPES = {"keboola": "files"}
