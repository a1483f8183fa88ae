"""Azure's answers about what a set has beside its model: whole, odd and broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from exporter.azure.decode import PIECE_LISTED, WHOLE_BYTES
from exporter.azure.decode_details import (
    StandbyPool,
    decode_autoscale,
    decode_lifecycle_hooks,
    decode_rolling_upgrade,
    decode_services,
    decode_standby_pool,
    decode_standby_pools,
)
from exporter.azure.errors import BrokenAnswer
from exporter.model.details import (
    MOST_OF_A_KIND,
    Autoscale,
    LifecycleHook,
    RollingUpgrade,
    Service,
    StandbyCount,
)
from support.answers import WEB

OBJECTS = (decode_services, decode_rolling_upgrade, decode_standby_pool)
LISTS = (decode_lifecycle_hooks, decode_standby_pools, decode_autoscale)


_Item = TypeVar("_Item")


def whole(pieces: Iterator[tuple[list[_Item], str | None]]) -> tuple[list[_Item], str | None]:
    """All items of a page, and the link of its last piece; no other has one."""
    found: list[_Item] = []
    link: str | None = None
    for items, following in pieces:
        assert link is None
        found, link = found + items, following
    return found, link


def of(document: object) -> bytes:
    return json.dumps(document).encode()


def setting(**properties: Any) -> bytes:
    return of({"value": [{"properties": {"targetResourceUri": WEB.resource_id, **properties}}]})


def capacity(least: object, most: object) -> dict[str, Any]:
    return {"capacity": {"minimum": least, "maximum": most}}


def test_services_are_read_whatever_else_is_odd() -> None:
    services: list[Any] = [
        {"serviceName": "AutomaticRepairs", "serviceState": "Running"},
        {"servicename": "AutomaticZoneRebalancing", "ServiceState": "Suspended"},
        {"serviceName": "x"},
        {"serviceName": 3, "serviceState": "Running"},
        None,
    ]
    assert decode_services(of({"orchestrationServices": services, "statuses": 3})) == (
        Service("AutomaticRepairs", "Running"),
        Service("AutomaticZoneRebalancing", "Suspended"),
    )
    assert decode_services(b"{}") == ()


def test_a_rolling_upgrade_has_what_azure_sends() -> None:
    progress = {
        "successfulInstanceCount": 3,
        "failedInstanceCount": None,
        "pendingInstanceCount": 1,
    }
    running = {"code": "RollingBack"}
    body = of({"properties": {"runningStatus": running, "progress": progress}})
    assert decode_rolling_upgrade(body) == RollingUpgrade("RollingBack", 3, None, None, 1)
    assert decode_rolling_upgrade(b"{}") == RollingUpgrade(None, None, None, None, None)


def test_only_events_that_wait_are_told() -> None:
    event = {"type": "UpgradeAutoOSScheduling", "state": "active", "waitUntil": "2026-11-27T10:00Z"}
    items = [
        {"name": "a", "properties": event},
        {"name": "b", "properties": event | {"state": "Completed"}},
        {"properties": event},
        {"name": "c"},
        7,
    ]
    found, link = whole(decode_lifecycle_hooks(of({"value": items, "nextLink": "https://a/b"})))
    assert found == [LifecycleHook("a", "UpgradeAutoOSScheduling", "2026-11-27T10:00Z")]
    assert link == "https://a/b"


def test_a_standby_pool_is_of_the_set_that_it_names_in_any_letter_case() -> None:
    attached = {"attachedVirtualMachineScaleSetId": WEB.resource_id.upper()}
    items = [{"id": "/a/pool", "properties": attached}, {"id": "/b"}, {"properties": attached}]
    (found,), _ = whole(decode_standby_pools(of({"value": items})))
    assert isinstance(found, StandbyPool)
    assert (found.resource_id, found.scale_set.key) == ("/a/pool", WEB.key)


def test_counts_of_a_pool_are_by_zone_and_state() -> None:
    states = [{"state": "Running", "count": 1}, {"state": "running", "count": 2}, {"state": "x"}]
    summary = [{"zone": 1, "instanceCountsByState": states}, {"instanceCountsByState": states[:1]}]
    assert decode_standby_pool(of({"properties": {"instanceCountSummary": summary}})) == (
        StandbyCount("1", "running", 3),
        StandbyCount("", "running", 1),
    )


@pytest.mark.parametrize(
    ("profiles", "limits"),
    [
        ([capacity("2", "10")], Autoscale(2, 10)),
        ([capacity(2, 10)], Autoscale(2, 10)),
        (
            [capacity("2", "10"), capacity("0", "99") | {"recurrence": {"frequency": "Week"}}],
            Autoscale(2, 10),
        ),
        (
            [capacity("1", "5") | {"fixedDate": {}}, capacity("3", "9") | {"recurrence": {}}],
            Autoscale(1, 9),
        ),
        ([capacity("many", "-3")], Autoscale(None, None)),
        ([capacity(-1, 10**400)], Autoscale(None, None)),
        ([], Autoscale(None, None)),
        ([None, {}], Autoscale(None, None)),
    ],
)
def test_autoscale_has_the_limits_of_the_profile_without_a_schedule(
    profiles: list[Any], limits: Autoscale
) -> None:
    ((scale_set, found),), _ = whole(decode_autoscale(setting(profiles=profiles)))
    assert (scale_set.key, found) == (WEB.key, limits)


def test_settings_that_are_off_or_of_something_else_are_left_out() -> None:
    assert whole(decode_autoscale(setting(enabled=False))) == ([], None)
    assert whole(decode_autoscale(setting(targetResourceUri="/subscriptions/s/x"))) == ([], None)


def test_of_very_many_services_and_counts_a_thousand_are_kept() -> None:
    views = [{"serviceName": f"s-{n}", "serviceState": "Running"} for n in range(1200)]
    found = decode_services(of({"orchestrationServices": views}))
    assert [one.name for one in found] == [f"s-{n}" for n in range(MOST_OF_A_KIND)]
    states = [{"state": f"s-{n % 1200}", "count": 1} for n in range(2400)]
    summary = [{"zone": 1, "instanceCountsByState": states}]
    counts = decode_standby_pool(of({"properties": {"instanceCountSummary": summary}}))
    assert counts == tuple(StandbyCount("1", f"s-{n}", 2) for n in range(MOST_OF_A_KIND))


def test_a_count_that_no_set_can_have_is_left_out() -> None:
    progress = {"successfulInstanceCount": 10**400, "failedInstanceCount": -1}
    found = decode_rolling_upgrade(of({"properties": {"progress": progress}}))
    assert found == RollingUpgrade(None, None, None, None, None)
    states = [{"state": "Running", "count": 10**400}, {"state": "Deallocated", "count": 1}]
    summary = [{"instanceCountsByState": states}]
    assert decode_standby_pool(of({"properties": {"instanceCountSummary": summary}})) == (
        StandbyCount("", "deallocated", 1),
    )


@pytest.mark.parametrize("size", [0, 1, PIECE_LISTED, PIECE_LISTED + 1, 1000])
def test_a_long_page_is_read_in_pieces_of_which_the_last_has_the_link(size: int) -> None:
    items = [{"properties": {"targetResourceUri": f"{WEB.resource_id}{n}"}} for n in range(size)]
    body = of({"value": items, "nextLink": "https://a/b"})
    pieces = list(decode_autoscale(body))
    assert [len(found) for found, _ in pieces] == [
        min(PIECE_LISTED, size - begin) for begin in range(0, max(1, size), PIECE_LISTED)
    ]
    found, link = whole(iter(pieces))
    assert [scale_set.name for scale_set, _ in found] == [f"{WEB.name}{n}" for n in range(size)]
    assert link == "https://a/b"


def test_large_items_make_small_pieces() -> None:
    item = {"properties": {"targetResourceUri": WEB.resource_id}, "x": "x" * WHOLE_BYTES}
    assert [len(found) for found, _ in decode_autoscale(of({"value": [item] * 3}))] == [1, 1, 1]


@pytest.mark.parametrize("decode", OBJECTS)
@pytest.mark.parametrize("body", [b"[]", b"nonsense", b"\xff", b"", b"3"])
def test_what_is_no_answer_is_broken(decode: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        decode(body)


@pytest.mark.parametrize("decode", LISTS)
@pytest.mark.parametrize(
    "body",
    [
        *(b"[]", b"nonsense", b"\xff", b"", b"3"),
        *(b"{}", b'{"value": {}}', b'{"value": [], "nextLink": 3}'),
    ],
)
def test_what_is_no_list_is_broken(
    decode: Callable[[bytes], Iterator[tuple[list[Any], str | None]]], body: bytes
) -> None:
    with pytest.raises(BrokenAnswer):
        whole(decode(body))
