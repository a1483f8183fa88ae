"""What a PromQL expression asks for: its selectors, and what stands around each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser

CHILDREN = ("lhs", "rhs", "expr", "param", "args", "vector_selector")


@dataclass(frozen=True)
class Selector:
    """A selector, and the nodes that it stands in, from the inside outwards."""

    name: str
    matchers: dict[str, str]
    around: tuple[Any, ...]

    @property
    def labels(self) -> set[str]:
        return set(self.matchers)

    def is_compared_with_one(self) -> bool:
        """Whether only series that are 1 go on."""
        outer = self.around[0] if self.around else None
        return (
            isinstance(outer, promql_parser.BinaryExpr)
            and str(outer.op) == "=="
            and getattr(outer.rhs, "val", None) == 1
        )

    def replicas_are_joined(self) -> bool:
        """Whether the first aggregation takes the largest or smallest of the replicas."""
        for node in self.around:
            if isinstance(node, promql_parser.AggregateExpr):
                dropped = set(node.modifier.labels) if node.modifier else set()
                return str(node.op) in {"max", "min"} and {"instance", "pod"} <= dropped
        return False


def nodes(node: Any, around: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every node, and those that it stands in, from the inside outwards."""
    yield node, around
    for name in CHILDREN:
        child = getattr(node, name, None)
        for one in child if isinstance(child, list) else [child]:
            if one is not None and not isinstance(one, str):
                yield from nodes(one, (node, *around))


def selectors(expression: str) -> list[Selector]:
    """Every selector of an expression; a syntax error is a ValueError."""
    found = []
    for node, around in nodes(promql_parser.parse(expression)):
        if isinstance(node, promql_parser.VectorSelector):
            matchers = {one.name: one.value for one in node.matchers.matchers}
            inside = tuple(x for x in around if not isinstance(x, promql_parser.MatrixSelector))
            found.append(Selector(node.name or "", matchers, inside))
    return found


def grouped_by(expression: str) -> set[str]:
    """Labels that `by`, `on` and the like name."""
    found: set[str] = set()
    for node, _ in nodes(promql_parser.parse(expression)):
        modifier = getattr(node, "modifier", None)
        if modifier is None:
            continue
        matching = getattr(modifier, "matching", modifier)
        found |= set(getattr(matching, "labels", None) or ())
    return found


def made_labels(expression: str) -> set[str]:
    """Labels that the expression makes itself, by `label_replace` or `count_values`."""
    found: set[str] = set()
    for node, _ in nodes(promql_parser.parse(expression)):
        if isinstance(node, promql_parser.Call) and node.func.name == "label_replace":
            found.add(node.args[1].val)
        if isinstance(node, promql_parser.AggregateExpr) and str(node.op) == "count_values":
            found.add(getattr(node.param, "val", ""))
    return found
