"""The registry: tables, all their names, and their columns."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Lower

from access.models import Grant, Tier, User
from access.models.grant import GrantQuerySet, Moment
from agnes_site.core import slugs
from agnes_site.core.database import UuidModel, choices_of
from catalog.connectors import DriftPolicy, QueryMode, SyncStrategy
from catalog.models.source import Folder, Source, validate_slug


class TableQuerySet(models.QuerySet["Table"]):
    """Questions about tables."""

    def readable_by(self, user: User, at: Moment | None = None) -> TableQuerySet:
        """Limit to the tables that ``user`` may read. The only place that decides this.

        A token that is limited to some tables narrows the answer further. Grants count that are
        in force now, or ``at`` another time.
        """
        tables = self
        if not user.is_active:
            return self.none()
        if user.token is not None and user.token.only:
            tables = tables.filter(name__in=user.token.only)
        if user.is_admin:
            return tables
        return tables.filter(_covered_by(Grant.objects.held_by(user, at)))

    def with_tier(self, user: User, at: Moment | None = None) -> TableQuerySet:
        """Add `tier`: whether each pull of ``user`` brings a table, or one that asks for it.

        Grants count that are in force now, or ``at`` another time.
        """
        if user.is_admin:
            return self.annotate(tier=Value(Tier.REQUIRED))
        required = Grant.objects.held_by(user, at).filter(tier=Tier.REQUIRED)
        return self.annotate(
            tier=Case(
                When(_covered_by(required), then=Value(Tier.REQUIRED)),
                default=Value(Tier.AVAILABLE),
            )
        )

    def published(self) -> TableQuerySet:
        """Limit to the tables that have a version to serve."""
        return self.filter(current_version__isnull=False)

    def with_copies(self) -> TableQuerySet:
        """Limit to the tables whose rows are kept here, not only looked up at their source."""
        return self.exclude(query_mode=QueryMode.REMOTE)


def _covered_by(grants: GrantQuerySet) -> Q:
    return (
        Q(name__in=grants.ids("table"))
        | Q(folder__slug__in=grants.ids("folder"))
        | Q(source__slug__in=grants.ids("source"))
    )


class Table(UuidModel):
    """One entry of the registry: a table that the holders of a grant may read."""

    name = models.CharField(
        max_length=64,
        validators=[validate_slug],
        help_text="Public id: view, file and grant carry it; never changes.",
    )
    display_name = models.CharField(max_length=200, blank=True, help_text="Shown to people.")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="tables")
    folder = models.ForeignKey(
        Folder, null=True, blank=True, on_delete=models.SET_NULL, related_name="tables"
    )
    bucket = models.CharField(
        max_length=200, blank=True, help_text="Schema, dataset or bucket at the source."
    )
    source_table = models.CharField(
        max_length=500, blank=True, help_text="Name, file or pattern at the source."
    )
    query_mode = models.CharField(
        max_length=20,
        choices=choices_of(QueryMode),
        default=QueryMode.LOCAL,
        help_text="Local: copied here. Materialized: the result of a query. Remote: looked up.",
    )
    source_query = models.TextField(
        blank=True, help_text="Query of a materialized table, in the language of its source."
    )
    options = models.JSONField(
        default=dict, blank=True, help_text="Settings of the connector for this table."
    )
    sync_schedule = models.CharField(
        "schedule",
        max_length=100,
        blank=True,
        help_text="`every 6h`, `daily 07:00` (UTC) or `cron 0 7 * * 1-5 Europe/Prague`; that of "
        "the source if empty.",
    )
    is_paused = models.BooleanField(
        "paused", default=False, help_text="Left alone by its schedule until it is resumed."
    )
    sync_strategy = models.CharField(
        max_length=20, choices=choices_of(SyncStrategy), default=SyncStrategy.FULL_REFRESH
    )
    primary_key = models.JSONField(
        default=list, blank=True, help_text='Columns that identify a row, such as ["id"].'
    )
    incremental_column = models.CharField(max_length=200, blank=True)
    incremental_window_days = models.PositiveIntegerField(null=True, blank=True)
    max_history_days = models.PositiveIntegerField(null=True, blank=True)
    initial_load_chunk_days = models.PositiveIntegerField(null=True, blank=True)
    partition_by = models.CharField(max_length=200, blank=True)
    partition_granularity = models.CharField(
        max_length=10, blank=True, choices=[("day", "Day"), ("month", "Month"), ("year", "Year")]
    )
    where_filters = models.JSONField(default=list, blank=True)
    drift_policy = models.CharField(
        max_length=10,
        choices=choices_of(DriftPolicy),
        default=DriftPolicy.EVOLVE,
        help_text="What happens when the columns change at the source.",
    )
    server_only = models.BooleanField(
        default=False, help_text="Never copied to a laptop; queried on the server only."
    )
    description = models.TextField(blank=True, help_text="What a row is, for people and agents.")
    owner = models.ForeignKey(
        User,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="owned_tables",
        help_text="Whom to ask about this table.",
    )
    registered_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    registered_at = models.DateTimeField("registered", auto_now_add=True)
    current_version = models.ForeignKey(
        "catalog.TableVersion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
    )
    is_pinned = models.BooleanField(
        "pinned",
        default=False,
        editable=False,
        help_text="Rolled back: new runs publish nothing until it is released.",
    )
    # How the schedule is kept. Runs write these at their end; slots are those of the schedule.
    last_success_at = models.DateTimeField(
        null=True, editable=False, help_text="Start of the last run that succeeded."
    )
    slot_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="The newest slot that was tried; intervals are counted from it.",
    )
    retry_at = models.DateTimeField(
        "next try", null=True, editable=False, help_text="When the source is asked again."
    )
    retries = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="Tries of this slot after the first one."
    )
    # Counts claims and roll-backs; a run that was claimed with a lower number publishes nothing.
    fencing = models.BigIntegerField(default=0, editable=False)

    objects = TableQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("name"),
                name="table_name_unique",
                violation_error_message="There is a table with this name already.",
            ),
            models.CheckConstraint(
                name="table_source_query_only_when_materialized",
                condition=Q(query_mode=QueryMode.MATERIALIZED) | Q(source_query=""),
                violation_error_message="Only a materialized table has a source query.",
            ),
            models.CheckConstraint(
                name="table_partitioned_has_column",
                condition=~Q(sync_strategy=SyncStrategy.PARTITIONED) | Q(partition_by__gt=""),
                violation_error_message="A partitioned table needs the column that it is cut by.",
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or self.name


class FoldedField(models.CharField[str, str]):
    """What the spellings of the row's ``name`` share; written with each of its rows."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Return it for what is written now."""
        value = slugs.folded(model_instance.name)  # type: ignore[attr-defined]  # it has one
        setattr(model_instance, self.attname, value)
        return value


class TableName(UuidModel):
    """A name under which a table is found: its canonical one, or an alias."""

    table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="names")
    name = models.CharField(max_length=255)
    folded = FoldedField(max_length=255, editable=False)
    is_alias = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["folded"],
                name="table_any_name_unique",
                violation_error_message="Another table has this name.",
            ),
            models.UniqueConstraint(
                fields=["table"], condition=Q(is_alias=False), name="table_one_canonical_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DescriptionSource(models.TextChoices):
    """Who described a column."""

    NONE = "", "Nobody"
    ADMIN = "admin", "Administrator"
    SOURCE = "source", "Source"


class Column(UuidModel):
    """One column of the current version; a description outlives the versions."""

    table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="columns")
    ordinal = models.PositiveIntegerField()
    name = models.CharField(max_length=1000)
    type = models.TextField()
    nullable = models.BooleanField(default=True)
    description = models.TextField(blank=True)
    description_source = models.CharField(
        max_length=10, blank=True, choices=DescriptionSource.choices, default=DescriptionSource.NONE
    )

    class Meta:
        ordering: ClassVar = ["ordinal"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["table", "name"], name="column_name_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.type}"
