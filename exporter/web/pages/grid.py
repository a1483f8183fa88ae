"""The grid of a set's page: its instances by zone, fault domain and update domain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.web.pages.instance_rows import InstanceRow, natural

MOST_COLUMNS = 24
"""Update domains that are columns of their own: Azure has at most twenty."""


@dataclass(frozen=True, slots=True)
class Line:
    """A fault domain: its instances by update domain, in the columns' order.

    Attributes:
        update_domain: the only one of its instances, where each fault domain has one; else empty.
    """

    fault_domain: str
    update_domain: str
    cells: list[list[InstanceRow]]


@dataclass(frozen=True, slots=True)
class Zone:
    """An availability zone; empty where the set has none."""

    zone: str
    update_domains: list[str]
    lines: list[Line]


def zones_of(rows: Iterable[InstanceRow]) -> list[Zone]:
    """The instances by where they are; in a cell the lowest id comes first."""
    by_zone: dict[str, list[InstanceRow]] = {}
    for row in rows:
        by_zone.setdefault(row.zone, []).append(row)
    return [_zone(zone, by_zone[zone]) for zone in sorted(by_zone, key=natural)]


def _zone(zone: str, rows: list[InstanceRow]) -> Zone:
    columns = sorted({row.update_domain for row in rows}, key=natural)
    if len(columns) > MOST_COLUMNS:
        columns = [""]
    places = {name: number for number, name in enumerate(columns)}
    lines: dict[str, list[list[InstanceRow]]] = {}
    for row in sorted(rows, key=lambda row: row.order[1]):
        cells = lines.setdefault(row.fault_domain, [[] for _ in columns])
        cells[places.get(row.update_domain, 0)].append(row)
    names = sorted(lines, key=natural)
    if all(sum(map(bool, cells)) == 1 for cells in lines.values()):
        # A column for each would be a diagonal in an empty table.
        only = {name: next(n for n, cell in enumerate(lines[name]) if cell) for name in names}
        single = [Line(name, columns[n], [lines[name][n]]) for name, n in only.items()]
        return Zone(zone, [""], single)
    return Zone(zone, columns, [Line(name, "", lines[name]) for name in names])
