"""Azure's answers for the benches of the pipeline, as bytes: pages of 120 instances in full.

They come from the simulated Azure's own library, for the fleet that the other benches poll. Every
instance has ids and times of its own, on whatever page it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from bench.fleet import GROUP, SET_NAME, build
from exporter.model.scale_set import ScaleSetId, Target
from exporter.simulator.description import DEFAULT_SUBSCRIPTION
from exporter.simulator.instance import SimulatedInstance
from exporter.simulator.instance_answers import View, list_item
from exporter.simulator.scale_set import SimulatedScaleSet

PAGE_SIZE = 120
"""Instances of a page: what Azure gives."""

TARGET = Target(ScaleSetId(DEFAULT_SUBSCRIPTION, GROUP, SET_NAME), 60.0)
"""The scale set that the answers are of."""

_API_VERSION = "2024-07-01"
_NOW = 1_795_000_000.25
"""When the fleet is asked, as Unix time: the same in every run, so the bytes are, too."""


@dataclass(frozen=True)
class Shape:
    """What an instance of the answers has.

    Attributes:
        extensions: the number of its extensions, at most 3.
        disks: the number of its disks: the system's, and data disks.
    """

    extensions: int
    disks: int

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{_counted(self.extensions, 'extension')}, {_counted(self.disks, 'disk')}"


USUAL = Shape(extensions=1, disks=1)
LARGER = Shape(extensions=3, disks=2)


def pages(shape: Shape, *, count: int, size: int = PAGE_SIZE) -> list[bytes]:
    """The pages of one scale set's walk with `detail: full`.

    Args:
        shape: what each instance has.
        count: the number of pages.
        size: instances on each.
    """
    fleet = build(1, count * size, extensions=shape.extensions)
    fleet.advance(_NOW)
    view = View(version=_API_VERSION, expand=True, select=None, start=fleet.unix_time(0), now=_NOW)
    [scale_set] = fleet.scale_sets
    bodies: list[bytes] = []
    start: str | None = None
    for _ in range(count):
        instances, start = scale_set.page(start, size, lambda _: True)
        document: dict[str, Any] = {
            "value": [_item(scale_set, instance, view, shape) for instance in instances]
        }
        if start is not None:
            document["nextLink"] = f"https://management.azure.com/?%24skiptoken={start}"
        bodies.append(msgspec.json.encode(document))
    return bodies


def _item(
    scale_set: SimulatedScaleSet, instance: SimulatedInstance, view: View, shape: Shape
) -> dict[str, Any]:
    """One instance; the simulated Azure has no data disks, so they are put in here."""
    item = list_item(scale_set, instance, view)
    properties = item["properties"]
    system_disk = properties["instanceView"]["disks"][0]
    for number in range(1, shape.disks):
        name = f"{scale_set.identity.name}_{instance.instance_id}_disk{number + 1}_"
        name += instance.disk[::-1]
        properties["instanceView"]["disks"].append({**system_disk, "name": name})
        properties["storageProfile"]["dataDisks"].append(
            {
                "lun": number - 1,
                "name": name,
                "createOption": "Empty",
                "caching": "None",
                "diskSizeGB": 64,
                "managedDisk": {"storageAccountType": "Premium_LRS"},
            }
        )
    return item


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
