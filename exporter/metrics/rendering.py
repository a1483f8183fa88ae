"""From readings to sample lines, for some instances at a time.

Most of what instances tell is the same in many of them. Families declare what their lines follow
from (`InstanceFamily.same_for`); their lines are made once per value of that, without the
identity, which is put in by one call per instance and family.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from exporter.metrics.family import Family, InstanceFamily, Row, StateSetFamily
from exporter.metrics.reading import InstanceReading
from exporter.metrics.text import SampleWriter

REMEMBERED = 1024
"""Values of a part whose lines are kept ready; beyond that all are forgotten, and made anew."""

Identified = tuple[str, InstanceReading]
"""The label pairs of the instance's identity, and its reading."""

_Part = Callable[[InstanceReading], Hashable]
_Rows = Callable[[InstanceReading], Iterable[Row]]
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
        self._own: list[tuple[str, _Rows, SampleWriter]] = []
        by_part: dict[_Part, list[tuple[str, _Rows, SampleWriter]]] = {}
        for family in families:
            writer = writers[family.name]
            if isinstance(family, StateSetFamily):
                rows = _rows_of_state_set(family, active=active)
                by_part.setdefault(family.state, []).append((family.name, rows, writer))
            elif isinstance(family, InstanceFamily) and family.same_for is not None:
                by_part.setdefault(family.same_for, []).append((family.name, family.rows, writer))
            elif isinstance(family, InstanceFamily):
                self._own.append((family.name, family.rows, writer))
        self._shared = [_Shared(part, families) for part, families in by_part.items()]

    def render(self, instances: Sequence[Identified]) -> dict[str, str]:
        """The lines of the instances, in their order, of each family that has any."""
        texts: dict[str, str] = {}
        for name, rows, writer in self._own:
            if text := writer.write([(identity, rows(reading)) for identity, reading in instances]):
                texts[name] = text
        for shared in self._shared:
            # All that is done per instance and family is one look and one join.
            known, part = shared.known, shared.part
            lines: list[list[str]] = [[] for _ in shared.families]
            for identity, reading in instances:
                found = known.get(value := part(reading))
                if found is None:
                    found = shared.learn(value, reading)
                for number, pieces in found:
                    lines[number].append(identity.join(pieces))
            for (name, _, _), texts_of_family in zip(shared.families, lines, strict=True):
                if texts_of_family:
                    texts[name] = "".join(texts_of_family)
        return texts


class _Shared:
    """Families whose lines follow from the same part of the reading.

    Attributes:
        part: reads that part.
        families: the name, the rows and the writer of each.
        known: by the value of the part: each family that has lines, by its number, with the
            pieces between which the identity belongs.
    """

    def __init__(self, part: _Part, families: Sequence[tuple[str, _Rows, SampleWriter]]) -> None:
        self.part = part
        self.families = families
        self.known: dict[Hashable, _Pieces] = {}

    def learn(self, value: Hashable, reading: InstanceReading) -> _Pieces:
        """Make the pieces for one more value of the part, and remember them."""
        if len(self.known) >= REMEMBERED:
            self.known.clear()
        found = self.known[value] = tuple(
            (number, pieces)
            for number, (_, rows, writer) in enumerate(self.families)
            if len(pieces := writer.pieces(rows(reading))) > 1
        )
        return found


def _rows_of_state_set(family: StateSetFamily, *, active: bool) -> _Rows:
    def rows(reading: InstanceReading) -> Iterable[Row]:
        holding = family.state(reading)
        if holding is None:
            return ()
        return [
            ((state,), int(state == holding))
            for state in family.states
            if not active or state == holding
        ]

    return rows
