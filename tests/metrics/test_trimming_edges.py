"""Exactly from where on an instance's parts are cut down."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.metrics.trimming import KEPT_NAMES, KEPT_STATUSES, MOST_PARTS, batches
from exporter.model.instance_view import InstanceView
from support.answers import instance

STATUS = {"code": "ProvisioningState/succeeded", "level": "Info"}
TOO_MANY = [STATUS] * (MOST_PARTS + 1)


def cut(view: dict[str, Any]) -> tuple[InstanceView, int]:
    """The view as it is mapped, and how often somebody else could do something meanwhile."""
    found = list(batches([instance(view)]))
    ((one,),) = [batch for batch in found if batch]
    assert one.properties is not None
    assert one.properties.instance_view is not None
    return one.properties.instance_view, len(found) - 1


def entries(count: int) -> list[Any]:
    return [{"name": f"n{n}", "type": f"n{n}"} for n in range(count)]


@pytest.mark.parametrize(
    "view",
    [
        {"statuses": TOO_MANY},
        {"vmAgent": {"statuses": TOO_MANY}},
        {"vmAgent": {"extensionHandlers": entries(MOST_PARTS + 1)}},
        {"extensions": entries(MOST_PARTS + 1)},
        {"extensions": [None, {"name": "e", "statuses": TOO_MANY}]},
        {"extensions": [{"name": "e", "substatuses": TOO_MANY}, None]},
        {"disks": entries(MOST_PARTS + 1)},
        {"disks": [None, {"name": "d", "statuses": TOO_MANY}]},
    ],
)
def test_parts_of_every_kind_count(view: dict[str, Any]) -> None:
    assert cut(view)[1] > 0


def test_an_instance_with_as_many_parts_as_are_allowed_is_left_alone() -> None:
    view, steps = cut({"statuses": [STATUS] * MOST_PARTS})
    assert (len(view.statuses or ()), steps) == (MOST_PARTS, 0)


@pytest.mark.parametrize("more", [0, 1])
def test_as_many_names_as_are_kept_need_no_other(more: int) -> None:
    many = entries(KEPT_NAMES + more)
    view, _ = cut(
        {
            "statuses": TOO_MANY,
            "extensions": many,
            "disks": many,
            "vmAgent": {"extensionHandlers": many},
        }
    )
    assert view.vm_agent is not None
    handlers = [each.type for each in view.vm_agent.extension_handlers or () if each]
    extensions = [each.name for each in view.extensions or () if each]
    disks = [each.name for each in view.disks or () if each]
    kept = [f"n{n}" for n in range(KEPT_NAMES)]
    assert handlers == extensions == disks == kept + ["other"] * more


def test_as_many_statuses_as_are_kept_stay_in_their_order() -> None:
    statuses = [{**STATUS, "message": str(n)} for n in range(KEPT_STATUSES)]
    view, _ = cut({"statuses": TOO_MANY, "disks": [{"name": "d", "statuses": statuses}]})
    (disk,) = [each for each in view.disks or () if each]
    kept = [status.message for status in disk.statuses or () if status]
    assert kept == [str(n) for n in range(KEPT_STATUSES)]


@pytest.mark.parametrize("part", ["extensions", "disks"])
def test_a_long_list_is_cut_in_steps(part: str) -> None:
    steps = [cut({part: entries(count)})[1] for count in (5_100, 10_100)]
    assert steps == [5, 10]
