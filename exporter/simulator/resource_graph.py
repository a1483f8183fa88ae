"""Resource Graph: an index of the fleet, which may be late, and as much of its query language.

Sources: "Working with large Azure resource data sets", "Query languages" and "Guidance for
throttled requests" of Microsoft's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from exporter.simulator import errors, scale_set_answers
from exporter.simulator.calls import Call
from exporter.simulator.fleet import Fleet

Json = dict[str, Any]

VERSION = "2024-07-01"
LARGEST_ANSWER = 16 * 1024 * 1024

_WHERE = re.compile(r"where type =~ '([\w./]+)'")
_CALL = re.compile(r"(tostring|isnotnull)\(([\w.]+)\)")
_PATH = re.compile(r"[\w.]+")
_TABLES = {("resources", "microsoft.compute/virtualmachinescalesets")}


class ResourceGraph:
    """Answers queries from what its index held `lag` seconds ago, or up to twice as long.

    Attributes:
        hidden: the subscriptions, in lower case, that the caller may not read: it is answered
            without their rows.
        emptied: whether the index holds nothing, as while it is built anew.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.description = fleet.description.graph
        self.hidden: set[str] = set()
        self.emptied = False
        self._index: list[Json] = []
        self._next: list[Json] = []
        self._indexed_at = -1.0

    def answer(self, call: Call, *, seen: frozenset[str] | None) -> Json:
        """Answer a query. Raises ArmError.

        Args:
            seen: the subscriptions that the caller sees, in lower case; None for all.
        """
        if not self.description.enabled:
            raise errors.path_not_found(call.path)
        asked = call.body if isinstance(call.body, dict) else {}
        options = asked.get("options") or {}
        query = _Query(str(asked.get("query", "")))
        wanted = {str(name).casefold() for name in asked.get("subscriptions") or ()}
        rows = [
            row
            for row in self._rows()
            if (subscription := row["id"].split("/")[2].casefold()) not in self.hidden
            and (not wanted or subscription in wanted)
            and (seen is None or subscription in seen)
        ]
        begin = _begin(options.get("$skipToken"))
        size = min(int(options.get("$top") or 100), self.description.page_size)
        ordered = query.ordered(rows, begin)
        page = _fitting([query.projected(row) for row in ordered[begin : begin + size]])
        document: Json = {
            "totalRecords": len(rows),
            "count": len(page),
            "data": page,
            "facets": [],
            "resultTruncated": "false",
        }
        if begin + len(page) < len(rows):
            document["$skipToken"] = f"rows-{begin + len(page)}"
        return document

    def _rows(self) -> list[Json]:
        if self.emptied:
            return []
        now, lag = self._fleet.elapsed, self.description.lag
        if not lag:
            return self._read()
        if self._indexed_at < 0:
            self._index = self._next = self._read()
            self._indexed_at = now
        elif now - self._indexed_at >= lag:
            self._index, self._next = self._next, self._read()
            self._indexed_at = now
        return self._index

    def _read(self) -> list[Json]:
        start = self._fleet.unix_time(0)
        return [
            scale_set_answers.scale_set_item(scale_set, VERSION, start=start)
            for scale_set in self._fleet.scale_sets
        ]


class _Query:
    """A query of the kind `table | where type =~ … | project … | order by id asc`."""

    def __init__(self, text: str) -> None:
        table, *operators = (" ".join(part.split()) for part in text.split("|"))
        kind = _WHERE.fullmatch(operators[0]) if operators else None
        if kind is None or (table, kind[1].casefold()) not in _TABLES:
            raise errors.invalid_query(f"The table or the type is not known: {table}.")
        self._columns: dict[str, Callable[[Json], Any]] | None = None
        self._by_id = False
        for operator in operators[1:]:
            if operator.startswith("project "):
                self._columns = dict(map(_column, operator.removeprefix("project ").split(", ")))
            elif operator == "order by id asc":
                self._by_id = True
            else:
                raise errors.invalid_query(f"The operator is not known: {operator}.")

    def ordered(self, rows: list[Json], begin: int) -> list[Json]:
        """The rows in order; without one that is asked for, in another for each page."""
        if self._by_id:
            return sorted(rows, key=lambda row: str(row["id"]).casefold())
        turn = begin % max(1, len(rows))
        return rows[turn:] + rows[:turn]

    def projected(self, row: Json) -> Json:
        """The columns that are asked for."""
        if self._columns is None:
            return row
        return {name: value(row) for name, value in self._columns.items()}


def _column(text: str) -> tuple[str, Callable[[Json], Any]]:
    name, _, expression = text.partition("=")
    called = _CALL.fullmatch(expression)
    path = called[2] if called else expression or name
    if not _PATH.fullmatch(path):
        raise errors.invalid_query(f"The column is not understood: {text}.")
    steps = path.split(".")
    if called and called[1] == "isnotnull":
        return name, lambda row: _at(row, steps) is not None
    if called:
        return name, lambda row: "" if (value := _at(row, steps)) is None else str(value)
    return name, lambda row: _at(row, steps)


def _at(row: Json, steps: list[str]) -> Any:
    value: Any = row
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _begin(token: object) -> int:
    if token is None:
        return 0
    found = re.fullmatch(r"rows-(\d+)", str(token))
    if found is None:
        raise errors.invalid_query("The skip token is not valid.")
    return int(found[1])


def _fitting(rows: list[Json]) -> list[Json]:
    """The rows that an answer of the largest size holds, one at least."""
    size = 0
    for number, row in enumerate(rows):
        size += len(msgspec.json.encode(row))
        if size > LARGEST_ANSWER and number:
            return rows[:number]
    return rows
