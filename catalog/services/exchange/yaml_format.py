"""Documents as YAML: one text for everything, in an order that stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from catalog.services.exchange.document import (
    Document,
    DocumentInvalidError,
    unknown,
)
from catalog.services.exchange.kinds import BY_NAME, Kind

FORMAT = 1
# What YAML makes of a text without quotes, such as 2024_01, 007, 12:30 or no.
_READ_AS_OTHERS = {f"tag:yaml.org,2002:{each}" for each in ("bool", "int", "float", "timestamp")}


class _DocumentDumper(yaml.CSafeDumper):
    """Writes long texts as they are, line by line."""

    def ignore_aliases(self, data: Any) -> bool:
        """Repeat what is the same: an alias is not readable."""
        return True


def _represent_text(dumper: Any, value: str) -> Any:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_DocumentDumper.add_representer(str, _represent_text)


def write(kinds: Sequence[Kind]) -> str:
    """Return all objects of these kinds as one document."""
    content: dict[str, Any] = {"agnes": FORMAT}
    for kind in kinds:
        found = kind.current()
        if len(kind.key) == 1:
            content[kind.name] = {key[0]: values for key, values in found.items()}
        else:
            content[kind.name] = [
                {**dict(zip(kind.key, key, strict=True)), **values} for key, values in found.items()
            ]
    text: str = yaml.dump(
        content, Dumper=_DocumentDumper, sort_keys=False, allow_unicode=True, width=100
    )
    return text


def read(text: str) -> Document:
    """Read a document.

    Raises:
        DocumentInvalidError: it is not YAML, uses aliases, or is not of this format.
    """
    loader = yaml.CSafeLoader(text)
    try:
        root = loader.get_single_node()
        _refuse_what_is_not_plain(root)
        return _document(loader, root)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DocumentInvalidError(f"The document is not YAML: {_first_line(error)}") from None
    finally:
        loader.dispose()


def _document(loader: Any, root: Any) -> Document:
    if not isinstance(root, yaml.MappingNode):
        raise DocumentInvalidError("The document should begin with `agnes: 1`.")
    document = Document()
    content = [(key.value, key.start_mark.line + 1, value) for key, value in root.value]
    version = next((node for name, _, node in content if name == "agnes"), None)
    if version is None or loader.construct_object(version, deep=True) != FORMAT:
        raise DocumentInvalidError(f"The document should begin with `agnes: {FORMAT}`.")
    for name, line, node in content:
        if name in BY_NAME:
            _take(loader, BY_NAME[name], node, document)
        elif name != "agnes":
            document.refuse(unknown(name, BY_NAME, what="kind"), line=line)
    return document


def _take(loader: Any, kind: Kind, node: Any, document: Document) -> None:
    """Take all of one kind; nothing at all after its name says nothing, `{}` that there is none."""
    if isinstance(node, yaml.ScalarNode) and loader.construct_object(node) is None:
        return
    document.begin(kind)
    for key, pairs, line in _entries(loader, kind, node, document):
        document.add(kind, key, pairs, line=line)


def _entries(
    loader: Any, kind: Kind, node: Any, document: Document
) -> Iterator[tuple[tuple[str, ...], list[tuple[str, Any]], int]]:
    is_named = len(kind.key) == 1
    expected = yaml.MappingNode if is_named else yaml.SequenceNode
    if not isinstance(node, expected):
        shape = "names with their fields" if is_named else "a list"
        document.refuse(f"{kind.name} should be {shape}.", line=node.start_mark.line + 1)
        return
    for item in node.value:
        own = item[0] if is_named else item
        line = own.start_mark.line + 1
        pairs = _pairs(loader, kind, item[1] if is_named else item)
        if pairs is None:
            document.refuse("expected fields with values.", line=line, where=kind.name)
            continue
        if is_named:
            # As it is written: a table may be called 007 or no.
            yield (own.value,), pairs, line
            continue
        given = dict(pairs)
        missing = [part for part in kind.key if not isinstance(given.get(part), str)]
        if missing:
            document.refuse(f"{', '.join(missing)} is missing.", line=line, where=kind.name)
            continue
        fields = [(name, value) for name, value in pairs if name not in kind.key]
        yield tuple(given[part] for part in kind.key), fields, line


def _pairs(loader: Any, kind: Kind, node: Any) -> list[tuple[str, Any]] | None:
    if isinstance(node, yaml.ScalarNode) and loader.construct_object(node) is None:
        return []
    if not isinstance(node, yaml.MappingNode):
        return None
    texts = {*kind.key, *(field.name for field in kind.fields if field.is_text)}
    return [
        (key.value, value.value)
        if key.value in texts and value.tag in _READ_AS_OTHERS
        else (key.value, loader.construct_object(value, deep=True))
        for key, value in node.value
    ]


def _refuse_what_is_not_plain(root: Any) -> None:
    """Refuse names that are no texts, and what stands at two places: that can mean gigabytes."""
    seen: set[int] = set()
    waiting = [root] if root is not None else []
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            line = node.start_mark.line + 1
            raise DocumentInvalidError(
                f"Line {line} is used at another place by an alias.",
                hint="Write it out: aliases (`*name`) are not read.",
            )
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            _refuse_odd_names(node)
            waiting += [each for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _refuse_odd_names(node: Any) -> None:
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            line = key.start_mark.line + 1
            raise DocumentInvalidError(f"Line {line} has a list or names where a name belongs.")


def _first_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}: {getattr(error, 'problem', error)}."
    return f"{str(error).splitlines()[0] if str(error) else 'it is nested too deeply'}."
