"""What a kind of object is: what is known of it, and how it is added, changed and removed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from django.db.models import QuerySet

from access.models import User
from agnes_site.core.errors import InvalidInputError, NotFoundError
from catalog.services.exchange.fields import Field

Key = tuple[str, ...]
Values = dict[str, Any]


class NameUnknownError(NotFoundError):
    """The document names something that is neither here nor in the document."""

    code = "import_name_unknown"
    status = 422
    hint = "Add it to the document or to the server first, or mend its name."


class NameInvalidError(InvalidInputError):
    """Nothing can be called like this."""

    code = "import_name_invalid"


class FieldFixedError(InvalidInputError):
    """This field of an existing object never changes."""

    code = "import_field_fixed"
    hint = "Leave the field as it is; to move the object, remove it and add it anew."


class Kind(ABC):
    """One kind of object. A key is the names that an object is known by; values are plain data."""

    name: ClassVar[str]
    key: ClassVar[Key] = ("name",)
    fields: ClassVar[tuple[Field, ...]]
    # What a new object cannot do without.
    required: ClassVar[Key] = ()

    @abstractmethod
    def current(self, *, only: str = "") -> dict[Key, Values]:
        """Return all objects as they are now, in the order of a document, or the one named."""

    def current_of(self, key: Key) -> Values | None:
        """Return one object as it is now, if it is there."""
        return self.current(only=key[0]).get(key)

    @abstractmethod
    def add(self, key: Key, values: Values, by: User | None) -> None:
        """Add an object; fields that are not given are empty."""

    @abstractmethod
    def change(self, key: Key, values: Values, by: User | None) -> None:
        """Set the given fields of an object."""

    @abstractmethod
    def remove(self, key: Key, by: User | None) -> None:
        """Remove an object."""

    def may_go(self, key: Key) -> bool:
        """Say whether an object that the document does not name can be removed."""
        return True

    def said(self, key: Key) -> str:
        """Return how people are told which object it is."""
        return key[0]


def limited(found: QuerySet[Any], **named: str) -> QuerySet[Any]:
    """Limit to what is ``named`` so; all of them where a name is empty."""
    return found.filter(**named) if all(named.values()) else found
