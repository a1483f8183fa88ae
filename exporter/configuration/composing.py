"""From YAML text to nodes: what PyYAML's composer does, with a limit on all that can explode.

The events come from libyaml, which is ten times as fast as PyYAML's own parser; that one stands
in where PyYAML was built without it. PyYAML's composers recurse, the one around libyaml on the
stack of the C code, and know no limit.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import Reader, ReaderError
from yaml.resolver import Resolver

from exporter.configuration.errors import ConfigurationError

TAG = "tag:yaml.org,2002:"

MOST_VALUES = 500_000
"""Keys and values that a document may stand for, aliases followed. Every scale set of four full
subscriptions (2,500 each), with a label, makes a quarter of it."""

DEEPEST = 100

# Names of aliases and tags in PyYAML's messages come from the file: they might be a secret.
# Its own '<words>' and single characters stay.
_NAME_IN_MESSAGE = re.compile(r" '(?![<\\])[^']{2,}'")
_INDENTATION = re.compile(r"[ \t]*")


# Only their events are used.
new_parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Resolver(Resolver):
    """PyYAML's tags without dates, so that `api_version: 2024-07-01` is a string."""


_Resolver.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0] != TAG + "timestamp"]
    for first, resolvers in Resolver.yaml_implicit_resolvers.items()
}


def compose(text: str) -> Node | None:
    """The top node of the only document; None where there is none.

    Raises:
        ConfigurationError: it is not YAML, or stands for more than it may.
    """
    strange = Reader.NON_PRINTABLE.search(text)
    if strange is not None:
        before = text[: strange.start()]
        position = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise ConfigurationError((_at(position, "a character that YAML does not allow"),))
    try:
        parser = new_parser(text)
        try:
            return _Composer(parser).document()
        finally:
            parser.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = ", ".join(part for part in (error.context, error.problem) if part)
        problem = _at(position, _NAME_IN_MESSAGE.sub("", message) + _advice(text, position))
    except (ReaderError, ValueError, OverflowError):
        # PyYAML's own parser leaves numbers in escapes and directives unchecked.
        problem = "an escape or a directive that YAML does not allow"
    # Raised out here, so that the YAML error, which quotes the file, is not chained to it.
    raise ConfigurationError((problem,))


def _at(position: tuple[int, int], message: str) -> str:
    return f"line {position[0]}, column {position[1]}: {' '.join(message.split())}"


def _advice(text: str, position: tuple[int, int]) -> str:
    """What to do where a tab character is to blame, which YAML does not take for indentation."""
    line = text.splitlines()[position[0] - 1 : position[0]]
    indentation = _INDENTATION.match(line[0]) if line else None
    return "; use spaces, not tabs" if indentation and "\t" in indentation[0] else ""


class _Composer:
    """Puts events together. It keeps the collections that are open, and so needs no recursion."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self._resolver: Any = _Resolver()
        self._open: list[CollectionNode] = []
        # The key that waits for its value, of each open mapping.
        self._keys: list[Node | None] = []
        self._anchors: dict[str, Node] = {}
        # How many values each collection stands for, for aliases to it.
        self._sizes: dict[Node, int] = {}
        self._counts: list[int] = []
        self._top: Node | None = None

    def document(self) -> Node | None:
        documents = 0
        while not isinstance(event := self._parser.get_event(), StreamEndEvent):
            if isinstance(event, NodeEvent):
                self._node(event)
            elif isinstance(event, CollectionEndEvent):
                self._close(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _error("expected a single document, found another one", event)
        return self._top

    def _node(self, event: Any) -> None:
        node: Node
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise _error("an alias without an anchor before it", event)
            node = self._anchors[event.anchor]
            self._add(node, self._sizes.get(node, 1))
            return
        if event.anchor is not None and event.anchor in self._anchors:
            raise _error("an anchor is given twice", event)
        if isinstance(event, ScalarEvent):
            node = self._scalar(event)
            self._add(node, 1)
        else:
            node = self._begin(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _scalar(self, event: Any) -> Node:
        tag = self._tag(ScalarNode, event, event.value)
        return ScalarNode(tag, event.value, event.start_mark, event.end_mark, style=event.style)

    def _begin(self, event: Any) -> Node:
        if len(self._open) == DEEPEST:
            raise ConfigurationError(("the YAML is nested too deeply",))
        kind = SequenceNode if isinstance(event, SequenceStartEvent) else MappingNode
        node = kind(self._tag(kind, event, None), [], event.start_mark, None)
        self._open.append(node)
        self._keys.append(None)
        self._counts.append(1)
        return node

    def _close(self, event: Any) -> None:
        node = self._open.pop()
        node.end_mark = event.end_mark
        self._keys.pop()
        self._sizes[node] = size = self._counts.pop()
        self._add(node, size)

    def _add(self, node: Node, size: int) -> None:
        """Put a finished node where it belongs."""
        if not self._open:
            self._top = node
            return
        holder = self._open[-1]
        self._counts[-1] += size
        if self._counts[-1] > MOST_VALUES:
            message = f"more than {MOST_VALUES} values; are aliases nested in aliases?"
            raise ConfigurationError((message,))
        if isinstance(holder, SequenceNode):
            holder.value.append(node)
        elif self._keys[-1] is None:
            self._keys[-1] = node
        else:
            holder.value.append((self._keys[-1], node))
            self._keys[-1] = None

    def _tag(self, kind: type[Node], event: Any, value: str | None) -> str:
        tag: str | None = event.tag
        if tag is None or tag == "!":
            tag = self._resolver.resolve(kind, value, event.implicit)
        return tag or TAG + "str"


def _error(message: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=message, problem_mark=event.start_mark)
