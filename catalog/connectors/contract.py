"""The contract: what a connector is asked, with what, and what it answers."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict

from agnes_site.core.errors import InvalidInputError
from catalog.connectors.vocabulary import Capability, ExtractMode, QueryMode, SyncStrategy

if TYPE_CHECKING:
    import pyarrow as pa

    from agnes_site.core.progress import Progress


class UnsupportedCapabilityError(InvalidInputError):
    """The connector of this source cannot do what was asked for."""

    code = "capability_unsupported"
    hint = "Choose another query mode, or a source of another type."


class Settings(BaseModel):
    """Base of the pydantic models that describe the settings of a source or of a table."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, kw_only=True)
class SecretField:
    """A secret that a connector needs, as a form asks for it; its value is never part of it.

    With ``is_multiline`` it may have several lines, as a private key has.
    """

    label: str
    description: str = ""
    is_required: bool = True
    is_multiline: bool = False


@dataclass(frozen=True, kw_only=True)
class ColumnSpec:
    """One column as its source describes it; ``type`` is a DuckDB type name such as ``BIGINT``."""

    name: str
    type: str
    nullable: bool = True
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """A table that a source offers.

    ``name`` is a proposal, ``upstream_id`` what the source itself calls it (shown to people);
    ``bucket`` and ``source_table`` are the coordinates to register it with. Sizes are hints in
    rows and bytes, ``None`` where the source does not say. ``problem`` says why it cannot be
    extracted as it is, for people. ``query_mode`` is how it can be served.
    """

    name: str
    upstream_id: str
    source_table: str
    bucket: str = ""
    columns: tuple[ColumnSpec, ...] = ()
    primary_key: tuple[str, ...] = ()
    rows: int | None = None
    bytes: int | None = None
    description: str = ""
    problem: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    query_mode: QueryMode = QueryMode.LOCAL


@dataclass(frozen=True, kw_only=True)
class Health:
    """The answer of a connection test: one sentence, and facts worth showing."""

    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TableRequest:
    """A registered table as a connector sees it; ``options`` is its validated ``table_schema``.

    ``known_columns`` are those of the current version, so that a source without types of its
    own (a CSV file) keeps the ones it was given once. An incremental table has the column
    ``incremental_column`` as its cursor, and ``look_back`` is how far before the cursor a run
    begins, for rows that arrive late. ``max_history`` limits how old rows may be.
    """

    name: str
    source_table: str
    bucket: str = ""
    source_query: str = ""
    primary_key: tuple[str, ...] = ()
    incremental_column: str = ""
    look_back: timedelta = timedelta(0)
    max_history: timedelta | None = None
    options: Settings
    known_columns: tuple[ColumnSpec, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CurrentPart:
    """One file of the version in service; it is read and never touched."""

    key: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class ExtractRequest:
    """What one run is to bring.

    ``state`` is what the last published run of this table returned, ``current`` the files that
    are in service now, for connectors that merge changes into them. ``since``, the start of the
    window for an incremental run (UTC), and ``parts``, the keys wanted in mode ``parts``, are
    not asked for yet.
    """

    table: TableRequest
    mode: ExtractMode = ExtractMode.FULL
    current: tuple[CurrentPart, ...] = ()
    since: datetime | None = None
    parts: tuple[str, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CandidatePart:
    """One finished file of a candidate; ``key`` names the part within its table ("" if alone)."""

    path: Path
    key: str = ""
    rows: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """Rows that were left out because they cannot be read, in a file of newline-delimited JSON.

    Each line of ``path`` has ``file``, ``row`` (from 1), ``column``, ``reason`` and ``text``.
    """

    path: Path
    rows: int


@dataclass(frozen=True, kw_only=True)
class ExtractResult:
    """What a run brought.

    With ``is_complete`` the parts are the whole table; otherwise they replace the parts of the
    same keys, ``removed_parts`` go, and the rest of the table stays. ``state`` is handed to the
    next run once these parts are published. ``is_unchanged`` says that the source has nothing
    new: no parts, and the table stays as it is. ``descriptions`` are what the source says of its
    columns, by their names.
    """

    parts: tuple[CandidatePart, ...] = ()
    removed_parts: tuple[str, ...] = ()
    is_complete: bool = True
    is_unchanged: bool = False
    state: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    descriptions: Mapping[str, str] = field(default_factory=dict)
    rejected: Rejected | None = None


@dataclass(frozen=True, kw_only=True)
class Attach:
    """How a remote catalog is attached: never with a secret, only with the name of one."""

    alias: str
    extension: str
    url: str
    token_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a request would read and cost; ``None`` means unknown, which is never zero."""

    bytes: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, kw_only=True)
class PartChange:
    """A pushed event touched this part of this table."""

    table: str
    part: str


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What the operator lets sources reach: folders of the server, hosts in the network.

    Files are read below ``roots``, but not in ``private`` folders, except for roots inside of
    those. ``hosts`` are names, addresses and networks. Nothing is allowed by default;
    :mod:`extracts.connectors.reach` decides by these.
    """

    roots: tuple[Path, ...] = ()
    private: tuple[Path, ...] = ()
    hosts: tuple[str, ...] = ()


class Output(Protocol):
    """Where a connector puts a candidate: the one writer, bound to the folder of this run.

    ``scratch`` is a folder for temporary files (removed after the run); ``progress`` reports.
    """

    scratch: Path
    progress: Progress

    def write(
        self, batches: pa.RecordBatchReader, *, key: str = "", order: tuple[str, ...] = ()
    ) -> CandidatePart:
        """Write one part from Arrow batches sorted by ``order``; empty means arrival order."""

    def copy(self, path: Path, *, key: str = "") -> CandidatePart:
        """Take a finished Parquet file as one part, as it is; ``path`` itself stays untouched."""


class Connector(ABC):
    """The code for one type of source.

    Subclasses set the class variables, implement :meth:`test`, and whatever they declare in
    ``capabilities``. They run in a child process: no Django, no shared state, failures of the
    other side raised as :class:`~agnes_site.core.errors.UpstreamError`, mistakes in settings or
    data as :class:`~agnes_site.core.errors.InvalidInputError`.
    """

    source_type: ClassVar[str]
    display_name: ClassVar[str]
    aliases: ClassVar[frozenset[str]] = frozenset()
    # The bucket of tables that name none, as :meth:`discover` names it.
    default_bucket: ClassVar[str] = ""
    query_modes: ClassVar[frozenset[QueryMode]] = frozenset({QueryMode.LOCAL})
    sync_strategies: ClassVar[frozenset[SyncStrategy]] = frozenset({SyncStrategy.FULL_REFRESH})
    # What has to be set of an incremental table, by the names of the table's fields.
    incremental_needs: ClassVar[tuple[str, ...]] = ()
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    config_schema: ClassVar[type[Settings]]
    table_schema: ClassVar[type[Settings]]
    secret_fields: ClassVar[Mapping[str, SecretField]] = {}
    # Whether somebody else writes ``extracts/<source>/``, so that it is read and never written.
    is_foreign: ClassVar[bool] = False
    # What this installation lets sources reach; see :meth:`within`.
    reach: Reach = Reach()

    def within(self, reach: Reach) -> Self:
        """Return this connector bound to what it may reach."""
        bound = copy.copy(self)
        bound.reach = reach
        return bound

    def secret_places(self, config: Settings) -> frozenset[str]:
        """Return where settings send the secrets, such as hosts with their ports.

        A stored secret goes to the places that it was given for; for others it has to be typed
        again. Unless a connector knows better, that is for any other settings.
        """
        return frozenset({config.model_dump_json()})

    def origin(self, config: Settings) -> Hashable:
        """Return what tells the place that rows come from apart from any other.

        What a run has left for the next one counts only where both read from the same place.
        Unless a connector knows better, other settings are another place.
        """
        return config.model_dump_json()

    @abstractmethod
    def test(self, config: Settings, secrets: Mapping[str, str]) -> Health:
        """Try the connection and say what was found."""

    def discover(self, config: Settings, secrets: Mapping[str, str]) -> Iterator[TableSpec]:
        """Yield the tables that the source offers."""
        raise self.unsupported(Capability.DISCOVER)

    def preview(
        self, config: Settings, secrets: Mapping[str, str], table: TableRequest, rows: int
    ) -> pa.Table:
        """Return the first ``rows`` rows as they would be extracted."""
        raise self.unsupported(Capability.PREVIEW)

    def extract(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        """Bring what ``request`` asks for as candidate parts in ``out``."""
        raise self.unsupported(Capability.EXTRACT)

    def run_sql(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        """Run the table's source query in the source's own engine and bring its result."""
        raise self.unsupported(Capability.RUN_SQL)

    def check_query(
        self, config: Settings, secrets: Mapping[str, str], sql: str
    ) -> tuple[ColumnSpec, ...]:
        """Let the source's own engine check a query without running it; return its columns."""
        raise self.unsupported(Capability.CHECK_QUERY)

    def remote_attach(self, config: Settings, tables: Iterable[TableRequest]) -> Attach:
        """Say how the source's catalog is attached for remote tables."""
        raise self.unsupported(Capability.REMOTE_ATTACH)

    def remote_place(self, config: Settings, table: TableRequest) -> tuple[str, str]:
        """Return schema and name of a remote table in the attached catalog."""
        return table.bucket, table.source_table

    def estimate(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest
    ) -> Estimate:
        """Say what a request would read and cost, without doing it."""
        raise self.unsupported(Capability.ESTIMATE)

    def receive(self, config: Settings, event: Mapping[str, Any]) -> list[PartChange]:
        """Say which parts a pushed event touched."""
        raise self.unsupported(Capability.RECEIVE)

    def column_docs(
        self, config: Settings, secrets: Mapping[str, str], table: TableRequest
    ) -> tuple[ColumnSpec, ...]:
        """Return the columns with the descriptions that the source keeps."""
        raise self.unsupported(Capability.COLUMN_DOCS)

    def unsupported(self, capability: Capability) -> UnsupportedCapabilityError:
        """Return the error for a capability that this connector did not declare."""
        return UnsupportedCapabilityError(
            f"A source of type {self.source_type!r} cannot {capability.value.replace('_', ' ')}.",
            source_type=self.source_type,
            capability=capability.value,
        )
