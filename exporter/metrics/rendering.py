"""From all_observed to sample lines, for some instances at a time.

Most of what instances tell is the same in many of them. Families declare the part that their lines
are made from (`Part`), and see nothing else; the lines are made once per value of it, without the
identity, which is put in by one call per instance and family.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from exporter.exposition.text_format import SampleWriter
from exporter.metrics.family import Family, InstanceFamily, Part, Row, StateSetFamily
from exporter.metrics.instance_state import InstanceState

REMEMBERED = 1024
"""Values of a part whose lines are kept ready; beyond that all are forgotten, and made anew."""

Identified = tuple[str, InstanceState]
"""The label pairs of the instance's identity, and its observed."""

_Rows = Callable[[Any], Iterable[Row]]
"""Makes rows from the value of a part."""

_Pieces = tuple[tuple[int, tuple[str, ...]], ...]


class Renderer:
    """Writes the lines of all families that have some per instance.

    Args:
        families: the families; those of other kinds are passed over.
        writers: of each family, by its name.
        active: whether state sets have the state that holds only.
    """

    def __init__(
        self, families: Iterable[Family], writers: Mapping[str, SampleWriter], *, active: bool
    ) -> None:
        self._own: list[tuple[str, Part[Any], _Rows, SampleWriter]] = []
        by_part: dict[Part[Any], list[tuple[str, _Rows, SampleWriter]]] = {}
        for family in families:
            writer = writers[family.name]
            if isinstance(family, StateSetFamily):
                rows = _rows_of_state_set(family, active=active)
                by_part[Part(family.state)] = [(family.name, rows, writer)]
            elif isinstance(family, InstanceFamily) and family.part.shared:
                by_part.setdefault(family.part, []).append((family.name, family.rows, writer))
            elif isinstance(family, InstanceFamily):
                self._own.append((family.name, family.part, family.rows, writer))
        self._shared = [_Shared(part, families) for part, families in by_part.items()]

    def render(self, instances: Sequence[Identified]) -> dict[str, str]:
        """The lines of the instances, in their order, of each family that has any."""
        texts: dict[str, str] = {}
        for name, own, rows, writer in self._own:
            of = own.of
            if text := writer.write([(identity, rows(of(found))) for identity, found in instances]):
                texts[name] = text
        for shared in self._shared:
            # All that is done per instance and family is one look and one join.
            known, part = shared.known, shared.part.of
            lines: list[list[str]] = [[] for _ in shared.families]
            for identity, observed in instances:
                found = known.get(value := part(observed))
                if found is None:
                    found = shared.learn(value)
                for number, chunks in found:
                    lines[number].append(identity.join(chunks))
            for (name, _, _), texts_of_family in zip(shared.families, lines, strict=True):
                if texts_of_family:
                    texts[name] = "".join(texts_of_family)
        return texts


class _Shared:
    """Families whose lines follow from the same part of the observed.

    Attributes:
        part: that part.
        families: the name, the rows and the writer of each.
        known: by the value of the part: each family that has lines, by its number, with the
            chunks between which the identity belongs.
    """

    def __init__(
        self, part: Part[Any], families: Sequence[tuple[str, _Rows, SampleWriter]]
    ) -> None:
        self.part = part
        self.families = families
        self.known: dict[Hashable, _Pieces] = {}

    def learn(self, value: Hashable) -> _Pieces:
        """Make the chunks for one more value of the part, and remember them."""
        if len(self.known) >= REMEMBERED:
            self.known.clear()
        found = self.known[value] = tuple(
            (number, chunks)
            for number, (_, rows, writer) in enumerate(self.families)
            if len(chunks := writer.chunks(rows(value))) > 1
        )
        return found


def _rows_of_state_set(family: StateSetFamily, *, active: bool) -> _Rows:
    def rows(holding: str | None) -> Iterable[Row]:
        if holding is None:
            return ()
        return [
            ((state,), int(state == holding))
            for state in family.states
            if not active or state == holding
        ]

    return rows
