"""The YAML text as plain values, with the place of each and the mistakes YAML itself allows.

`composing` reads the text into nodes, and PyYAML cooperative scalars into values. The walk over the
nodes is ours because PyYAML's own neither reports a key that is given twice nor survives an alias
that holds itself, and because messages show a value as it is written, not as YAML 1.1 understands
it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from exporter.configuration.composing import TAG, compose
from exporter.configuration.errors import (
    ConfigurationError,
    Path,
    Problem,
    secret_at,
    shown_text,
)
from exporter.configuration.variables import is_variable, substitute

_TEXT_TAGS = {TAG + "str", TAG + "value", TAG + "merge"}
_PLAIN_TAGS = {TAG + "int", TAG + "float", TAG + "bool", TAG + "null"}
_MERGE_TAG = TAG + "merge"

_DEEPEST = 32

LONGEST_TEXT = 65_536
"""Characters of one string; nothing that a setting holds comes near it."""

_LONGEST_NUMBER = 100
_SURROGATE = re.compile(r"[\ud800-\udfff]")


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

    def is_broken(self, path: Path) -> bool:
        """Whether the YAML, or the environment, got a value there or above it wrong."""
        return any(path[:length] in self.broken for length in range(len(path) + 1))

    def order(self, path: Path) -> int:
        """The place of the value, or of the nearest one that holds where it would stand."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path].order


def read_document(text: str, environment: Mapping[str, str]) -> Document:
    """Read the YAML text and put the environment's values into its strings.

    Raises:
        ConfigurationError: it is not YAML, it is empty, its top is not a mapping, or its aliases
            stand for too many values.
    """
    node = compose(text)
    if node is None or node.tag == TAG + "null":
        raise ConfigurationError(("the configuration is empty",))
    walk = _Walk(environment)
    value = walk.value(node, ())
    if not isinstance(value, dict):
        # The value itself is not shown: the file may be a token, given by mistake.
        shown = "a list" if isinstance(value, list) else "a single value"
        raise ConfigurationError((f"expected a mapping at the top, got {shown}",))
    return Document(value, walk.places, tuple(walk.problems), frozenset(walk.broken))


class _Walk:
    """One walk over the nodes: the values, their places and the problems met."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.places: dict[Path, Place] = {}
        self.problems: list[Problem] = []
        self.broken: set[Path] = set()
        self._environment = environment
        self._constructor = SafeConstructor()
        self._within: list[Node] = []
        self._texts: dict[Node, _Text] = {}
        self._count = 0

    def value(self, node: Node, path: Path) -> Any:
        """The plain value of a node. The first value met at a path keeps the place."""
        self._count += 1
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
            return self._plain(node, path)
        self.places.setdefault(path, Place(self._count, shown_text(node.value)))
        self._check_tag(node, path, "str")
        found = self._texts.get(node)
        if found is None:
            # Once, however many aliases lead here.
            found = self._texts[node] = _text_of(node.value, self._environment)
        for name in found.unset:
            # A name within a secret may be a chunk of it, as in pa${ss}word.
            secret = secret_at(path)
            whole = path == secret and is_variable(node.value)
            named = "named here" if secret and not whole else name
            self._break(path, f"environment variable {named} is not set")
        if found.problem:
            self._break(path, found.problem)
        return found.text

    def _plain(self, node: ScalarNode, path: Path) -> Any:
        """A number, a boolean or nothing."""
        # Reading a number takes time with the square of its length.
        readable = len(node.value) <= _LONGEST_NUMBER
        value: Any = node.value
        if readable:
            try:
                value = self._constructor.construct_object(node)
            except (yaml.YAMLError, ValueError, LookupError, ArithmeticError):
                readable = False
        if not readable:
            self._break(path, "not a value of its YAML type")
        shown = "nothing" if value is None else shown_text(node.value)[1:-1]
        self.places.setdefault(path, Place(self._count, shown, quotable=value is not None))
        return value

    def _check_tag(self, node: Node, path: Path, kind: str) -> None:
        if node.tag != TAG + kind and node.tag not in _TEXT_TAGS:
            self._report(path, "YAML tags are not supported")

    def _report(self, path: Path, message: str) -> None:
        self.problems.append(Problem(path, message, self._count))

    def _break(self, path: Path, message: str) -> None:
        self._report(path, message)
        self.broken.add(path)


@dataclass(frozen=True, slots=True)
class _Text:
    """A string once the environment is put in, and what is wrong with it."""

    text: str
    unset: tuple[str, ...] = ()
    problem: str = ""


def _text_of(written: str, environment: Mapping[str, str]) -> _Text:
    too_long = _Text("", problem=f"longer than {LONGEST_TEXT} characters")
    if len(written) > LONGEST_TEXT:
        return too_long
    try:
        text, unset = substitute(written, environment, longest=LONGEST_TEXT)
    except OverflowError:
        return too_long
    if not _is_unicode(text):
        return _Text("", unset, "not valid Unicode text")
    return _Text(text, unset)


def _is_unicode(text: str) -> bool:
    """Whether the text can be written: an escape can make half of a surrogate pair."""
    return _SURROGATE.search(text) is None
