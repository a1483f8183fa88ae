"""An instance with absurdly many parts is cut down step by step, and what counts survives."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import pytest

from exporter.azure import decode
from exporter.azure.decode import MOST_VALUES, WHOLE_BYTES, decode_instance_page
from exporter.azure.errors import BrokenAnswer
from exporter.metrics.trimming import (
    INSTANCES_AT_A_TIME,
    KEPT_NAMES,
    KEPT_STATUSES,
    KINDS,
    MOST_PARTS,
    PARTS_AT_A_TIME,
    batches,
)
from exporter.model.instance_view import Instance, InstanceView, Status
from support.answers import decode_page, described, instance, map_instances, text_of
from support.clock import FakeClock
from support.site import WebCase
from support.source import page
from support.turns import counted_turns

MANY = 50_000


def status(number: int, *, kind: str = "ProvisioningState", level: str = "Info") -> dict[str, Any]:
    return {"code": f"{kind}/succeeded/{number}", "level": level, "message": f"m{number}"}


def cut(view: dict[str, Any]) -> tuple[InstanceView, int]:
    """The view of such an instance once it is cut down, and in how many steps."""
    found = list(batches([instance(view)]))
    ((one,),) = [batch for batch in found if batch]
    assert one.properties is not None
    assert one.properties.instance_view is not None
    return one.properties.instance_view, len(found) - 1


def messages(statuses: list[Status | None] | None) -> list[str | None]:
    return [one.message for one in statuses or () if one is not None]


@pytest.mark.parametrize("place", [KEPT_STATUSES, MANY // 2, MANY - 1])
def test_of_too_many_statuses_the_worst_of_each_kind_survives(place: int) -> None:
    statuses = [status(number) for number in range(MANY)]
    statuses[place] = {"code": "ProvisioningState/failed/X", "level": "Error", "message": "why"}
    statuses[place - 1] = {"code": "PowerState/stopped", "level": "Warning", "message": "off"}
    view, steps = cut({"statuses": statuses})
    assert {"why", "off"} <= set(messages(view.statuses))
    assert len(view.statuses or ()) <= KEPT_STATUSES + KINDS + 1
    assert messages(view.statuses)[: KEPT_STATUSES - 1] == [f"m{n}" for n in range(15)]
    assert steps >= MANY // MOST_PARTS - 1
    mapped = map_instances(instance({"statuses": statuses}))
    assert 'state="failed"} 1' in text_of(mapped, "azure_vmss_instances_by_provisioning_state")
    assert 'state="stopped"} 1' in text_of(mapped, "azure_vmss_instances_by_power_state")


def test_of_the_worst_ones_the_newest_and_then_the_first_survives() -> None:
    times = [None, "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-03T00:00:00Z"]
    bad = [{**status(n, level="Error"), "time": time} for n, time in enumerate(times)]
    view, _ = cut({"statuses": [*([None] * 3000), *bad, status(9)]})
    assert messages(view.statuses) == ["m2"]


def test_kinds_without_end_are_distinguished_up_to_a_number() -> None:
    view, _ = cut({"statuses": [status(n, kind=f"k{n}") for n in range(MANY)]})
    assert len(view.statuses or ()) == KEPT_STATUSES + KINDS + 1


@pytest.mark.parametrize("part", ["extensions", "extensionHandlers", "disks"])
def test_of_too_many_names_the_rest_is_other_with_the_worst_status(part: str) -> None:
    entries: list[Any] = [{"name": f"n{n}", "type": f"n{n}"} for n in range(20_000)]
    bad = {"code": "ProvisioningState/failed/7", "level": "Error", "message": "why"}
    for number in (500, 19_000):
        entries[number] = {**entries[number], "statuses": [bad, None], "status": bad}
    entries[700] = None
    view, _ = cut({"vmAgent": {part: entries}} if "Handlers" in part else {part: entries})
    handlers = (view.vm_agent and view.vm_agent.extension_handlers) or []
    found: list[Any] = list(chain(view.extensions or (), view.disks or (), handlers))
    names = [one.type if "Handlers" in part else one.name for one in found]
    assert names == [*(f"n{n}" for n in range(KEPT_NAMES)), "other"]
    statuses = [found[-1].status] if "Handlers" in part else found[-1].statuses
    assert "why" in messages(statuses)
    assert len(statuses) <= KEPT_STATUSES + 1


def test_handlers_without_a_status_become_other_without_one() -> None:
    handlers = [{"type": f"n{n}"} for n in range(2000)]
    view, _ = cut({"vmAgent": {"extensionHandlers": handlers}})
    assert view.vm_agent is not None
    other = (view.vm_agent.extension_handlers or [None])[-1]
    assert other is not None
    assert (other.type, other.status) == ("other", None)


def test_a_list_within_an_extension_is_cut_too() -> None:
    long = [status(n) for n in range(3000)]
    view, _ = cut({"extensions": [None, {"name": "a", "statuses": long, "substatuses": long}]})
    extension = (view.extensions or [None])[1]
    assert extension is not None
    assert len(extension.statuses or ()) == len(extension.substatuses or ()) == KEPT_STATUSES + 1


def test_usual_instances_come_as_they_are_a_hundred_at_a_time() -> None:
    view = {
        "statuses": [status(1), None],
        "vmAgent": {"statuses": [status(2)], "extensionHandlers": [None, {"type": "a"}]},
        "extensions": [{"name": "a", "statuses": [status(3)]}],
        "disks": [{"name": "d", "statuses": [status(4)]}, None],
    }
    usual = [instance(view, instance_id=str(n)) for n in range(2 * INSTANCES_AT_A_TIME + 1)]
    copies = [instance(view, instance_id=str(n)) for n in range(len(usual))]
    found = list(batches([*usual, Instance(instance_id="bare")]))
    assert [len(batch) for batch in found] == [INSTANCES_AT_A_TIME, INSTANCES_AT_A_TIME, 2]
    assert [one for batch in found for one in batch][:-1] == copies
    assert list(batches([])) == []


def test_instances_with_many_parts_each_come_fewer_at_a_time() -> None:
    view = {"statuses": [status(n) for n in range(MOST_PARTS)]}
    found = list(batches([instance(view, instance_id=str(n)) for n in range(20)]))
    assert [len(batch) for batch in found] == [6, 6, 6, 2]
    assert MOST_PARTS * 6 == PARTS_AT_A_TIME


def test_the_json_shows_what_is_left_of_it() -> None:
    statuses = [status(number) for number in range(MANY)]
    (found,) = described(map_instances(instance({"statuses": statuses})))
    assert len(found["azure"]["properties"]["instanceView"]["statuses"]) == KEPT_STATUSES + 1
    assert len(json.dumps(found)) < 20_000


async def test_others_have_their_turn_while_such_an_instance_is_mapped(clock: FakeClock) -> None:
    case = WebCase(clock)
    body = json.dumps(
        {
            "value": [
                {
                    "instanceId": "0",
                    "properties": {"instanceView": {"statuses": [status(n) for n in range(MANY)]}},
                }
            ]
        }
    ).encode()
    assert len(body) > WHOLE_BYTES
    chunks = decode_page(body)
    case.source.pages["web"] = [page(*chunks.instances)]
    async with counted_turns() as turns:
        assert await case.poller.poll(case.states[0]) is None
    assert turns.count > MANY // 1000


def test_a_long_page_is_read_with_pauses_between_its_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decode, "_SLICE", WHOLE_BYTES // 4)
    items = [{"instanceId": str(n), "name": "é" * 20_000} for n in range(40)]
    body = json.dumps({"value": items}, ensure_ascii=False).encode()
    found = list(decode_instance_page(body))
    pauses = [chunk for chunk in found if not chunk.instances]
    assert len(pauses) >= len(body) // (WHOLE_BYTES // 4)
    assert [one.instance_id for chunk in found for one in chunk.instances] == [
        str(n) for n in range(40)
    ]
    # Pieces are bounded by their bytes, not by their instances alone.
    assert max(len(chunk.instances) for chunk in found) <= 27


@pytest.mark.parametrize("item", ["{}", "5", "null", '{"instanceId":"1"}', "[[],[]]"])
def test_a_page_with_values_without_end_is_refused_before_it_is_read(item: str) -> None:
    body = f'{{"value":[{",".join([item] * (MOST_VALUES + 2))}]}}'.encode()
    if len(body) <= WHOLE_BYTES:
        body += b" " * WHOLE_BYTES
    with pytest.raises(BrokenAnswer, match="more than 400000 values"):
        list(decode_instance_page(body))


def test_half_a_character_at_the_end_of_a_long_page_is_no_utf8() -> None:
    body = b'{"value":[]}' + b" " * WHOLE_BYTES
    for odd in (b"\xc3", b"\xff"):
        with pytest.raises(BrokenAnswer, match="UTF-8"):
            list(decode_instance_page(body + odd))


@pytest.mark.parametrize(
    "body", [b'{"value":[null,null]}', b'{"value":[[{"instanceId":"1"}],{}]}', b'{"value":[5,""]}']
)
def test_a_page_of_which_nothing_could_be_read_is_distinguished_from_an_empty_one(
    body: bytes,
) -> None:
    found = decode_page(body)
    assert (found.instances, found.lost) == ([], 2)
    empty = decode_page(b'{"value":[]}')
    assert (empty.instances, empty.lost) == ([], 0)


def test_a_list_with_odd_elements_without_end_is_read_up_to_a_number() -> None:
    statuses = [*({"code": "PowerState/running"} for _ in range(3)), *range(5000)]
    item = {"instanceId": "0", "properties": {"instanceView": {"statuses": statuses}}}
    found = decode_page(json.dumps({"value": [item]}).encode())
    assert len(found.problems) == 1000 - 3 + 1
    mapped = map_instances(*found.instances)
    assert 'state="running"} 1' in text_of(mapped, "azure_vmss_instances_by_power_state")
