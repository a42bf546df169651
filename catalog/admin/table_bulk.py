"""What can be done to many tables at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.db.models import Count
from unfold import widgets

from access.admin import reach
from access.admin.choosing import GroupField
from access.models import Grant, Tier
from access.services import audience, grants
from agnes_site.core import human
from agnes_site.core.admin import BulkAction, Step
from catalog import schedules
from catalog.admin.timing import explained
from catalog.models import Folder, Table
from catalog.services import registry
from catalog.services.grantable import covering_table

Values = Mapping[str, Any]


class ScheduleForm(forms.Form):
    """When the tables are brought anew."""

    schedule = forms.CharField(
        required=False,
        max_length=100,
        widget=widgets.UnfoldAdminTextInputWidget(),
        help_text="Such as <code>every 6h</code> or <code>daily 07:00</code>; empty: that of the "
        "source.",
    )
    explained(schedule.widget)

    def clean_schedule(self) -> str:
        """Refuse what is not understood."""
        try:
            return schedules.checked(self.cleaned_data["schedule"].strip())
        except schedules.ScheduleInvalidError as error:
            raise forms.ValidationError(f"{error.message} {error.hint}") from None


class FolderForm(forms.Form):
    """Where the tables go."""

    folder = forms.ModelChoiceField(
        Folder.objects.all(),
        required=False,
        empty_label="No folder",
        widget=widgets.UnfoldAdminSelectWidget(),
        help_text="Whoever has a grant on the folder reads the tables in it; who had one on the "
        "old folder only no longer does.",
    )


class GrantForm(forms.Form):
    """Who is to read the tables."""

    group = GroupField()
    tier = forms.ChoiceField(
        choices=Tier.choices,
        label="How they reach laptops",
        widget=widgets.UnfoldAdminSelectWidget(),
    )


def setting(
    name: str, wanted: Callable[[Values], Any], *, says: Callable[[Any, Any], str], same: str
) -> Callable[[Sequence[Table], Values], Iterator[Step]]:
    """Return the plan of a change of one field; ``says`` takes the value before and after."""

    def plan(tables: Sequence[Table], values: Values) -> Iterator[Step]:
        after = wanted(values)
        for table in tables:
            before = getattr(table, name)
            if before == after:
                yield Step(row=table, name=table.name, text=same, is_possible=False)
            else:
                yield Step(row=table, name=table.name, text=says(before, after))

    return plan


def _change(**wanted: Callable[[Values], Any]) -> Callable[[Table, Values, Any], object]:
    def do(table: Table, values: Values, by: Any) -> object:
        fields = {name: value(values) for name, value in wanted.items()}
        return registry.update_table(table=table, by=by, **fields)

    return do


def _grant_plan(tables: Sequence[Table], values: Values) -> Iterator[Step]:
    group = values["group"]
    held = set(
        Grant.objects.filter(
            group=group, resource_type="table", resource_id__in=[table.name for table in tables]
        ).values_list("resource_id", flat=True)
    )
    for table in tables:
        if table.name in held:
            yield Step(
                row=table,
                name=table.name,
                text=f"{group} holds this grant already.",
                is_possible=False,
            )
        else:
            yield Step(row=table, name=table.name, text=f"The members of {group} will read it.")


def _grant_effect(tables: Sequence[Table], values: Values) -> str:
    group = values["group"]
    effect = audience.of_giving_all(group=group, coverings=map(covering_table, tables))
    if not effect.members:
        return f"Nobody is in {group} yet; whoever is added will be able to read these tables."
    people = human.plural(effect.members, "person", "people")
    if not effect.concerned:
        return f"{people} in {group} will read them, and can read all of them already."
    listed = reach.named(effect.names, effect.concerned)
    if not effect.others:
        return f"{people} in {group} will read them: {listed}."
    return (
        f"{people} in {group} will read them; {effect.others:,} can read all of them already. "
        f"New: {listed}."
    )


def _grant(table: Table, values: Values, by: Any) -> object:
    return grants.grant(
        group=values["group"], resource_type="table", resource_id=table.name,
        tier=Tier(values["tier"]), by=by,
    )  # fmt: skip


def _unregister_plan(tables: Sequence[Table], values: Values) -> Iterator[Step]:
    kept = dict(
        Table.objects.filter(pk__in=[table.pk for table in tables])
        .annotate(total=Count("versions"))
        .values_list("pk", "total")
    )
    for table in tables:
        yield Step(
            row=table,
            name=table.name,
            text=f"Goes with {human.plural(kept.get(table.pk, 0), 'version')}, its grants and its "
            "aliases. Nobody can read it any more.",
        )


TABLE_BULK = (
    BulkAction(
        key="pause", label="Pause", confirm="Pause", done="Paused",
        plan=setting(
            "is_paused", lambda values: True, same="It is paused already.",
            says=lambda before, after: "Its schedule leaves it alone until it is resumed.",
        ),
        do=_change(is_paused=lambda values: True),
    ),
    BulkAction(
        key="resume", label="Resume", confirm="Resume", done="Resumed",
        plan=setting(
            "is_paused", lambda values: False, same="It is not paused.",
            says=lambda before, after: "Its schedule is in force again.",
        ),
        do=_change(is_paused=lambda values: False),
    ),
    BulkAction(
        key="schedule", label="Set the schedule", confirm="Set the schedule of", form=ScheduleForm,
        done="Schedule set",
        plan=setting(
            "sync_schedule", lambda values: values["schedule"], same="It has this schedule.",
            says=lambda before, after: f"{_schedule(before)} → {_schedule(after)}",
        ),
        do=_change(sync_schedule=lambda values: values["schedule"]),
    ),
    BulkAction(
        key="move", label="Move to a folder", confirm="Move", form=FolderForm, done="Moved",
        plan=setting(
            "folder", lambda values: values["folder"], same="It is there already.",
            says=lambda before, after: f"{before or 'No folder'} → {after or 'no folder'}",
        ),
        do=_change(folder=lambda values: values["folder"]),
    ),
    BulkAction(
        key="grant", label="Grant to a group", confirm="Grant", form=GrantForm, done="Granted",
        plan=_grant_plan, do=_grant, effect=_grant_effect,
    ),
    BulkAction(
        key="unregister", label="Unregister", confirm="Unregister", done="Unregistered",
        plan=_unregister_plan, is_dangerous=True,
        do=lambda table, values, by: registry.unregister_table(table=table, by=by),
    ),
)  # fmt: skip


def _schedule(text: str) -> str:
    return text or "that of the source"
