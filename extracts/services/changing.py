"""What a change of a source's settings would break, asked before it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from access.models import User
from agnes_site.core.errors import AgnesError, ConflictError, UpstreamError
from catalog import connectors
from catalog.connectors import Capability, QueryMode
from catalog.models import Source, Table
from catalog.services import sources
from catalog.services.secrets import NewSecret
from extracts.engine.process import ChildStoppedError
from extracts.services import probing
from extracts.services.arguments import table_arguments
from extracts.services.probing import Asker, Upstream

# Each costs a question of its own; what is beyond counts as lost.
_LOOKED_AT_ONE_BY_ONE = 30


class TablesWouldBreakError(ConflictError):
    """With these settings the source would no longer have tables that are registered."""

    code = "source_change_breaks_tables"
    hint = "Mend the settings, or save them all the same with `force`."


class ChangeUncheckedError(UpstreamError):
    """The source does not answer with these settings, so nobody knows what they would break."""

    code = "source_change_unchecked"


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A registered table that would not be found, and what the source says."""

    table: str
    source_table: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Impact:
    """What a change would do: ``kept`` tables are found, ``unknown`` ones cannot be looked for."""

    lost: list[Lost] = field(default_factory=list)
    kept: int = 0
    unknown: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def impact(
    *,
    source: Source,
    config: Mapping[str, Any],
    given: Mapping[str, NewSecret] | None = None,
    asker: Asker | None = None,
) -> Impact:
    """Ask the source, with new settings, which of its registered tables it still has.

    Raises:
        AgnesError: the source does not answer with these settings.
    """
    tables = list(source.tables.select_related("current_version").order_by("name"))
    changed = Source(pk=source.pk, slug=source.slug, source_type=source.source_type)
    changed.config = dict(config)
    upstream = Upstream.of(changed, given)
    probing.try_connection(upstream, asker=asker)
    connector = connectors.get(source.source_type)
    capabilities, default = connector.capabilities, connector.default_bucket
    if Capability.DISCOVER not in capabilities:
        return Impact(unknown=[table.name for table in tables])
    offered = {
        (spec["bucket"], spec["source_table"]) for spec in probing.discover(upstream, asker=asker)
    }
    unknown = [table for table in tables if table.query_mode == QueryMode.MATERIALIZED]
    sought = [table for table in tables if table.query_mode != QueryMode.MATERIALIZED]
    missing = [
        table for table in sought if (table.bucket or default, table.source_table) not in offered
    ]
    can_look = Capability.PREVIEW in capabilities
    lost = _lost(upstream, missing, can_look=can_look, asker=asker)
    return Impact(
        lost=lost, kept=len(sought) - len(lost), unknown=[table.name for table in unknown]
    )


def change_source(
    *,
    source: Source,
    by: User | None,
    force: bool = False,
    given: Mapping[str, NewSecret] | None = None,
    **fields: Any,
) -> list[str]:
    """Change a source as :func:`catalog.services.sources.change_source`, looking first.

    With ``force`` nobody looks whether its tables would still be found.

    Raises:
        TablesWouldBreakError: tables would be lost; ``details`` lists them.
        ChangeUncheckedError: the source does not answer with the new settings.
        AgnesError: the settings, secrets or schedule are not accepted.
    """
    if "config" in fields and not force and is_at_stake(source, fields["config"]):
        _look(source, fields["config"], given)
    return sources.change_source(source=source, by=by, secrets=given, **fields)


def is_at_stake(source: Source, config: Mapping[str, Any]) -> bool:
    """Say whether ``config`` differs from what the source has while tables come from it."""
    schema = connectors.get(source.source_type).config_schema
    checked = sources.checked_settings(schema, config)
    return checked != source.config and source.tables.exists()


def _look(source: Source, config: Mapping[str, Any], given: Mapping[str, NewSecret] | None) -> None:
    try:
        found = impact(source=source, config=config, given=given)
    except AgnesError as error:
        raise ChangeUncheckedError(
            f"With these settings the source does not answer: {error.message}",
            hint=f"{error.hint} Or save them without looking, with `force`.".strip(),
        ) from error
    if found.lost:
        names = ", ".join(each.table for each in found.lost[:10])
        more = f" and {len(found.lost) - 10} more" if len(found.lost) > 10 else ""
        raise TablesWouldBreakError(
            f"With these settings the source no longer has: {names}{more}.",
            tables=[asdict(each) for each in found.lost],
        )


def _lost(
    upstream: Upstream, missing: list[Table], *, can_look: bool, asker: Asker | None
) -> list[Lost]:
    """Return which of the tables that are not offered cannot be read either: a pattern can."""
    found = []
    for number, table in enumerate(missing):
        reason = "The source does not list it."
        if can_look and number < _LOOKED_AT_ONE_BY_ONE:
            try:
                probing.preview(upstream, table_arguments(table), rows=1, asker=asker)
            except ChildStoppedError:
                raise
            except AgnesError as error:
                reason = error.message
            else:
                continue
        found.append(Lost(table=table.name, source_table=_place(table), reason=reason))
    return found


def _place(table: Table) -> str:
    return ".".join(part for part in (table.bucket, table.source_table) if part)
