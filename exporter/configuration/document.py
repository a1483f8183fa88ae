"""The YAML text as plain values, with the place of each and the mistakes YAML itself allows.

PyYAML reads the text into nodes and turns scalars into values. The walk over the nodes is ours
because PyYAML's own neither reports a key that is given twice nor survives an alias that holds
itself, and because messages show a value as it is written, not as YAML 1.1 understands it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from exporter.configuration.errors import (
    SECRETS,
    ConfigurationError,
    Path,
    Problem,
    shown_text,
)
from exporter.configuration.variables import is_variable, substitute

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = {_TAG + "str", _TAG + "value", _TAG + "merge"}
_PLAIN_TAGS = {_TAG + "int", _TAG + "float", _TAG + "bool", _TAG + "null"}
_MERGE_TAG = _TAG + "merge"

# A few aliases of aliases can stand for billions of keys and values. Every scale set of four full
# subscriptions (2,500 each), with a label, makes a quarter of this many.
_MOST_VALUES = 500_000
_DEEPEST = 32

# Names of aliases and tags in PyYAML's messages come from the file: they might be a secret.
# Its own '<words>' and single characters, such as '\t', stay.
_NAME_IN_MESSAGE = re.compile(r" '(?![<\\])[^']{2,}'")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without dates, so that `api_version: 2024-07-01` is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0] != _TAG + "timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Place:
    """When a value is met, counted from the top of the file, and how messages show it.

    `quotable` is whether quotes around it would make it a string.
    """

    order: int
    shown: str
    quotable: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """The file's values after substitution.

    Attributes:
        value: the top mapping.
        places: the place of every value, by path.
        problems: what is wrong with the YAML.
        broken: the paths of values that are not to be judged, for a problem tells of them.
    """

    value: dict[str, Any]
    places: dict[Path, Place]
    problems: tuple[Problem, ...]
    broken: frozenset[Path]

    def order(self, path: Path) -> int:
        """The place of the value, or of the nearest one that holds where it would stand."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path].order


def read_document(text: str, environment: Mapping[str, str]) -> Document:
    """Read the YAML text and put the environment's values into its strings.

    Raises:
        ConfigurationError: it is no YAML, it is empty, its top is no mapping, or its aliases
            stand for too many values.
    """
    node = _compose(text)
    if node is None or node.tag == _TAG + "null":
        raise ConfigurationError(("the configuration is empty",))
    walk = _Walk(environment)
    value = walk.value(node, ())
    if not isinstance(value, dict):
        # The value itself is not shown: the file may be a token, given by mistake.
        shown = "a list" if isinstance(value, list) else "a single value"
        raise ConfigurationError((f"expected a mapping at the top, got {shown}",))
    return Document(value, walk.places, tuple(walk.problems), frozenset(walk.broken))


def _compose(text: str) -> Node | None:
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except ReaderError as error:
        # Counted from the text, for this error has no line.
        before = text[: error.position]
        position = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        problem = _syntax(position, "a character that YAML does not allow")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = ", ".join(part for part in (error.context, error.problem) if part)
        problem = _syntax(position, _NAME_IN_MESSAGE.sub("", message))
    except RecursionError:
        problem = "the YAML is nested too deeply"
    except (ValueError, OverflowError):
        # PyYAML leaves numbers in escapes and directives unchecked.
        position = (loader.line + 1, loader.column + 1) if loader else (1, 1)
        problem = _syntax(position, "an escape or a directive that YAML does not allow")
    finally:
        if loader is not None:
            loader.dispose()
    # Raised out here, so that the YAML error, which quotes the file, is not chained to it.
    raise ConfigurationError((problem,))


def _syntax(position: tuple[int, int], message: str) -> str:
    return f"line {position[0]}, column {position[1]}: {' '.join(message.split())}"


class _Walk:
    """One walk over the nodes: the values, their places and the problems met."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.places: dict[Path, Place] = {}
        self.problems: list[Problem] = []
        self.broken: set[Path] = set()
        self._environment = environment
        self._constructor = SafeConstructor()
        self._within: list[Node] = []
        self._count = 0

    def value(self, node: Node, path: Path) -> Any:
        """The plain value of a node. The first value met at a path keeps the place."""
        self._count += 1
        if self._count > _MOST_VALUES:
            message = f"more than {_MOST_VALUES} values; are aliases nested in aliases?"
            raise ConfigurationError((message,))
        if any(node is outer for outer in self._within):
            self._break(path, "an alias may not hold itself")
            return None
        if len(self._within) == _DEEPEST:
            self._break(path, f"nested more than {_DEEPEST} levels deep")
            return None
        self._within.append(node)
        try:
            if isinstance(node, ScalarNode):
                return self._scalar(node, path)
            if isinstance(node, SequenceNode):
                self.places.setdefault(path, Place(self._count, "a list"))
                self._check_tag(node, path, "seq")
                return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
            self.places.setdefault(path, Place(self._count, "a mapping"))
            self._check_tag(node, path, "map")
            return self._mapping(node, path)
        finally:
            self._within.pop()

    def _mapping(self, node: Node, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            self._count += 1
            if key_node.tag == _MERGE_TAG:
                merged.append(value_node)
                continue
            if not isinstance(key_node, ScalarNode):
                self._report(path, "a key must be a string")
                continue
            key = key_node.value
            if not _is_unicode(key):
                self._report(path, "a key is not valid Unicode text")
                continue
            here = (*path, key)
            if key in found:
                again = key_node.start_mark.line + 1
                self._report(here, f"given again on line {again}, first on line {lines[key]}")
                self.value(value_node, here)
                continue
            if key_node.tag not in _TEXT_TAGS:
                self._break(here, "a key must be a string; put it in quotes")
            lines[key] = key_node.start_mark.line + 1
            found[key] = self.value(value_node, here)
        for merge_node in merged:
            self._merge(merge_node, path, found)
        return found

    def _merge(self, node: Node, path: Path, found: dict[str, Any]) -> None:
        """`<<`: what the mapping has itself goes first, then the merged ones in their order."""
        sources = node.value if isinstance(node, SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, MappingNode):
                self._report(path, "<< takes a mapping or a list of them")
                continue
            values = self.value(source, path)
            if values is not None:
                found.update({key: values[key] for key in values if key not in found})

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        if node.tag in _PLAIN_TAGS:
            try:
                value = self._constructor.construct_object(node)
            except (yaml.YAMLError, ValueError, LookupError, ArithmeticError):
                self._break(path, "not a value of its YAML type")
                value = node.value
            shown = "nothing" if value is None else shown_text(node.value)[1:-1]
            self.places.setdefault(path, Place(self._count, shown, quotable=value is not None))
            return value
        self.places.setdefault(path, Place(self._count, shown_text(node.value)))
        self._check_tag(node, path, "str")
        text, unset = substitute(node.value, self._environment)
        for name in unset:
            # A name within a secret may be a piece of it, as in pa${ss}word.
            below = any(path[: len(secret)] == secret for secret in SECRETS)
            whole = path in SECRETS and is_variable(node.value)
            named = "named here" if below and not whole else name
            self._break(path, f"environment variable {named} is not set")
        if not _is_unicode(text):
            self._break(path, "not valid Unicode text")
            return ""
        return text

    def _check_tag(self, node: Node, path: Path, kind: str) -> None:
        if node.tag != _TAG + kind and node.tag not in _TEXT_TAGS:
            self._report(path, "YAML tags are not supported")

    def _report(self, path: Path, message: str) -> None:
        self.problems.append(Problem(path, message, self._count))

    def _break(self, path: Path, message: str) -> None:
        self._report(path, message)
        self.broken.add(path)


def _is_unicode(text: str) -> bool:
    """Whether the text can be written: an escape can make half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
