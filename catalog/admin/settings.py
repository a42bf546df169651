"""The settings of a schema one by one, however deep: what forms and their readers go through.

A model inside of the schema is laid flat. A field that is one of several models (by a
discriminator) becomes a choice, and the settings of each model follow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

PREFIX = "setting_"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One input; ``path`` is where pydantic's complaints locate it.

    ``variants`` are the models to choose from, by their tag. ``only_if`` names the input and the
    values for which this one has a meaning.
    """

    path: tuple[str, ...]
    info: FieldInfo
    variants: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    only_if: tuple[str, tuple[str, ...]] | None = None

    @property
    def form_name(self) -> str:
        """The name of its form field."""
        return form_name(self.path)

    @property
    def hints(self) -> Mapping[str, Any]:
        """What the author of the schema says about its place in a form."""
        extra = self.info.json_schema_extra
        return extra if isinstance(extra, dict) else {}


def form_name(path: tuple[str, ...]) -> str:
    """Return the name of the form field of the setting at ``path``."""
    return PREFIX + "__".join(path)


def settings_in(
    schema: type[BaseModel],
    path: tuple[str, ...] = (),
    only_if: tuple[str, tuple[str, ...]] | None = None,
    without: str = "",
) -> Iterator[Setting]:
    """Yield the settings of ``schema`` in its order."""
    for name, info in schema.model_fields.items():
        here = (*path, name)
        if name == without:
            continue
        inner = plain(info.annotation)
        if variants := variants_of(info):
            yield Setting(path=here, info=info, variants=variants, only_if=only_if)
            for tag, model in variants.items():
                shown_if = (form_name(here), (tag,))
                yield from settings_in(model, (*here, tag), shown_if, str(info.discriminator))
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings_in(inner, here, only_if)
        else:
            yield Setting(path=here, info=info, only_if=_hinted(info, path) or only_if)


def gathered(schema: type[BaseModel], found: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Return the values of ``found``, by path, as ``schema`` takes them; what is missing stays so.

    ``found`` holds the tag of each choice at the path of its field.
    """
    return _gathered(schema, found, ())


def value_at(schema: type[BaseModel], values: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Return what ``values`` hold for the setting at ``path``; ``None`` where that is nothing."""
    name, *rest = path
    inside = values.get(name)
    info = schema.model_fields[name]
    if variants := variants_of(info):
        tag = inside.get(str(info.discriminator)) if isinstance(inside, Mapping) else None
        if not rest:
            return tag
        if tag != rest[0] or not isinstance(inside, Mapping):
            return None
        return value_at(variants[rest[0]], inside, tuple(rest[1:]))
    if not rest:
        return inside
    inner = plain(info.annotation)
    return value_at(inner, inside, tuple(rest)) if isinstance(inside, Mapping) else None


def plain(annotation: Any) -> Any:
    """Return the type itself of one that may also be missing."""
    if get_origin(annotation) in (Union, UnionType):
        others = [each for each in get_args(annotation) if each is not NoneType]
        if len(others) == 1:
            return plain(others[0])
    return annotation


def variants_of(info: FieldInfo) -> dict[str, type[BaseModel]]:
    """Return the models that a field is one of, by their tags; none for any other field."""
    if not isinstance(info.discriminator, str):
        return {}
    found: dict[str, type[BaseModel]] = {}
    for model in get_args(info.annotation):
        if isinstance(model, type) and issubclass(model, BaseModel):
            for tag in get_args(model.model_fields[info.discriminator].annotation):
                found[str(tag)] = model
    return found


def _gathered(
    schema: type[BaseModel], found: Mapping[tuple[str, ...], Any], path: tuple[str, ...]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, info in schema.model_fields.items():
        here = (*path, name)
        inner = plain(info.annotation)
        if variants := variants_of(info):
            tag = found.get(here)
            if tag in variants:
                chosen = _gathered(variants[tag], found, (*here, tag))
                values[name] = {**chosen, str(info.discriminator): tag}
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            if inside := _gathered(inner, found, here):
                values[name] = inside
        elif here in found:
            values[name] = found[here]
    return values


def _hinted(info: FieldInfo, path: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """Return the condition that the schema's author gave: ``{"shown_when": {name: [values]}}``."""
    extra = info.json_schema_extra
    condition = extra.get("shown_when") if isinstance(extra, dict) else None
    if not isinstance(condition, dict) or not condition:
        return None
    name, values = next(iter(condition.items()))
    listed = values if isinstance(values, list) else [values]
    return form_name((*path, name)), tuple(str(each) for each in listed)
