"""What a source offers, and the registration of what was chosen of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction

from access.models import Group, User
from access.services import grants
from agnes_site.core import slugs
from agnes_site.core.errors import AgnesError, NotFoundError
from catalog import connectors
from catalog.connectors import QueryMode
from catalog.models import Source, Table, TableName
from catalog.services import registry
from extracts.models import RunTrigger
from extracts.services import probing, regeneration, runs
from extracts.services.probing import Asker, Upstream


class NotOfferedError(NotFoundError):
    """The source offers no such table."""

    code = "table_not_offered"
    status = 422
    hint = "Look again at what the source offers, and choose from that."


class ReadersNotFoundError(NotFoundError):
    """There is no group of this name to be granted the tables."""

    code = "readers_not_found"
    status = 422
    hint = "The page of groups lists their names."


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A table that a source offers.

    ``registered_as`` names the table it is already. ``proposed_name`` is free and differs from
    the connector's own proposal where another table has that name.
    """

    spec: Mapping[str, Any]
    proposed_name: str
    registered_as: str = ""

    @property
    def upstream_id(self) -> str:
        """What the source itself calls it."""
        return str(self.spec["upstream_id"])

    @property
    def name_is_taken(self) -> bool:
        """Whether another table has the name that the connector proposes."""
        return not self.registered_as and self.proposed_name != self.spec["name"]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What holds for all tables that are registered together."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    group: Group | None = None
    extract: bool = False


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A table that was registered, with its id and that of its first run if there is one."""

    upstream_id: str
    name: str
    table: str
    run: str = ""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A table that could not be registered, and why."""

    upstream_id: str
    name: str
    code: str
    message: str
    hint: str


@dataclass
class Outcome:
    """What became of each chosen table."""

    registered: list[Registered] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def offers(source: Source, specs: Sequence[Mapping[str, Any]]) -> list[Offer]:
    """Return what a source offers, with free names, and which of it is registered already."""
    default = connectors.get(source.source_type).default_bucket
    known = {
        (table.bucket or default, table.source_table): table.name
        for table in source.tables.only("bucket", "source_table", "name")
    }
    taken = set(TableName.objects.values_list("folded", flat=True))
    found = []
    for spec in specs:
        registered_as = known.get((spec["bucket"], spec["source_table"]), "")
        name = registered_as or _free_name(spec, source, taken)
        taken.add(slugs.folded(name))
        found.append(Offer(spec=spec, proposed_name=name, registered_as=registered_as))
    return found


def ask_offers(source: Source, *, asker: Asker | None = None) -> list[Offer]:
    """Ask a source what it offers.

    Raises:
        AgnesError: the source could not be asked.
    """
    return offers(source, probing.discover(Upstream.of(source), asker=asker))


def choose(found: Iterable[Offer], names: Mapping[str, str] | None) -> list[tuple[Offer, str]]:
    """Return the offers that ``names`` asks for by upstream id or name, with their new names.

    Without ``names`` it is everything that is not registered. An empty new name means the
    proposed one.

    Raises:
        NotOfferedError: something is asked for that is not there.
    """
    if names is None:
        return [(each, each.proposed_name) for each in found if not each.registered_as]
    known: dict[str, Offer] = {}
    for each in found:
        known.setdefault(each.proposed_name, each)
        known.setdefault(str(each.spec["name"]), each)
    known |= {each.upstream_id: each for each in found}
    missing = [wanted for wanted in names if wanted not in known]
    if missing:
        listed = ", ".join(repr(name) for name in missing[:10])
        raise NotOfferedError(f"The source does not offer {listed}.", tables=missing[:100])
    return [(known[key], new or known[key].proposed_name) for key, new in names.items()]


def find_readers(name: str) -> Group | None:
    """Return the group of this name, written in any case; nobody without a name.

    Raises:
        ReadersNotFoundError: there is none.
    """
    found = Group.objects.filter(name__iexact=name).first() if name else None
    if name and found is None:
        raise ReadersNotFoundError(f"There is no group named {name!r}.")
    return found


def register(
    *,
    source: Source,
    chosen: Sequence[tuple[Offer, str]],
    wishes: Wishes,
    by: User | None,
    trigger: RunTrigger = RunTrigger.MANUAL,
    asker: Asker | None = None,
) -> Outcome:
    """Register the chosen tables, grant them and ask for their first runs, or their views.

    Each table stands for itself: one that is refused does not keep the others.
    """
    asker = asker or Asker()
    outcome = Outcome()
    for done, (offer, name) in enumerate(chosen):
        if asker.should_stop():
            break
        asker.progress("register", done=done, total=len(chosen), message=f"Registering {name}.")
        try:
            made = _register(source, offer, name, wishes, by=by)
        except AgnesError as error:
            outcome.refused.append(
                Refused(
                    upstream_id=offer.upstream_id, name=name, code=error.code,
                    message=error.message, hint=error.hint,
                )
            )  # fmt: skip
            continue
        brings = wishes.extract and made.query_mode != QueryMode.REMOTE
        run = runs.request_run(table=made, by=by, trigger=trigger)[0] if brings else None
        outcome.registered.append(
            Registered(
                upstream_id=offer.upstream_id,
                name=made.name,
                table=str(made.pk),
                run=str(run.pk) if run else "",
            )
        )
    if outcome.registered and wishes.fields.get("query_mode") == QueryMode.REMOTE:
        regeneration.request(source)
    return outcome


@transaction.atomic
def _register(source: Source, offer: Offer, name: str, wishes: Wishes, *, by: User | None) -> Table:
    if offer.registered_as:
        raise registry.TableExistsError(
            f"{offer.upstream_id} is registered already, as {offer.registered_as}.",
            hint="Leave it out, or change the table that is there.",
        )
    spec = offer.spec
    table = registry.register_table(
        source=source, name=name, by=by, bucket=spec["bucket"],
        source_table=spec["source_table"], description=spec["description"],
        primary_key=list(spec["primary_key"]), options=dict(spec["options"]), **wishes.fields,
    )  # fmt: skip
    if wishes.group is not None:
        grants.grant(group=wishes.group, resource_type="table", resource_id=table.name, by=by)
    return table


def _free_name(spec: Mapping[str, Any], source: Source, taken: set[str]) -> str:
    name = str(spec["name"])
    if slugs.folded(name) not in taken:
        return name
    return slugs.slug(f"{source.slug}_{name}", taken=taken)
