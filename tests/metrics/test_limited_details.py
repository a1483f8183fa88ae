"""No odd answer about what a set has beside its model makes series or label values without end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.azure.decode import decode_instance_page
from exporter.azure.decode_details import (
    decode_lifecycle_hooks,
    decode_services,
    decode_standby_pool,
)
from exporter.exposition.text_format import LONGEST_VALUE, header
from exporter.metrics.limited_names import MOST_NAMES, OTHER
from exporter.metrics.mapper import Mapper, TargetMemory
from exporter.model.details import LifecycleHook, Service, SetDetails, StandbyCount
from support.answers import WEB_TARGET, samples, text_of

SERVICE = "azure_vmss_orchestration_service_state"
HOOK = "azure_vmss_lifecycle_hook_wait_until_timestamp_seconds"
POOL = "azure_vmss_standby_pool_instances"
PATCHES = "azure_vmss_instance_patches_available"
EARLY, LATE = "2026-11-27T10:00:00Z", "2026-11-27T11:00:00Z"
LONG = "é" * 1_000


def shown(details: SetDetails) -> dict[tuple[str, ...], float]:
    """The values by the family's own labels; one that is served twice is an error."""
    text = "".join(
        header(name, "gauge", "x") + block.text.decode()
        for name, block in Mapper().details(WEB_TARGET, details).items()
    )
    own = ("service", "hook", "type", "availability_zone", "state")
    return {
        tuple(dict(labels)[name] for name in own if name in dict(labels)): value
        for (_, labels), value in samples(text).items()
    }


def hooks(*found: tuple[str, str, str]) -> SetDetails:
    return SetDetails(lifecycle_hooks=tuple(LifecycleHook(*one) for one in found))


def pool(*found: tuple[str, str, int]) -> SetDetails:
    return SetDetails(standby_pool=tuple(StandbyCount(*one) for one in found))


def services(*found: tuple[str, str]) -> SetDetails:
    return SetDetails(services=tuple(Service(*one) for one in found))


@pytest.mark.parametrize(
    "details",
    [
        services(*((f"name-{n:04}", f"State{n}") for n in range(1000))),
        hooks(*((f"name-{n:04}", f"type-{n}", LATE) for n in range(1000))),
        hooks(*(("name", f"type-{n:04}", LATE) for n in range(1000))),
        pool(*((f"zone-{n:04}", f"state-{n}", 1) for n in range(1000))),
        pool(*(("1", f"state-{n:04}", 1) for n in range(1000))),
    ],
)
def test_of_1000_names_64_have_series_and_the_rest_is_other(details: SetDetails) -> None:
    found = shown(details)
    assert len(found) == MOST_NAMES + 1
    assert (OTHER, OTHER) in found


def test_exactly_64_all_have_series() -> None:
    found = shown(hooks(*((f"name-{n}", "type", LATE) for n in range(MOST_NAMES))))
    assert {name for name, _ in found} == {f"name-{n}" for n in range(MOST_NAMES)}


def test_which_have_series_does_not_go_by_azure_s_order() -> None:
    many = [(f"name-{n:04}", "type", LATE) for n in range(1000)]
    assert shown(hooks(*many)) == shown(hooks(*reversed(many)))


def test_other_is_the_earliest_wait_and_the_sum_of_a_pool() -> None:
    taken = [f"a-{n:04}" for n in range(MOST_NAMES)]
    found = shown(hooks(*((n, "t", LATE) for n in taken), ("b", "t", LATE), ("c", "t", EARLY)))
    assert found[OTHER, OTHER] == 1795773600
    assert shown(pool(*((n, "s", 1) for n in taken), ("b", "s", 2), ("c", "s", 3)))[
        OTHER, OTHER
    ] == pytest.approx(5)


def test_what_comes_twice_in_any_letter_case_is_one_series() -> None:
    assert shown(services(("Repairs", "Running"), ("REPAIRS", "Suspended"))) == {
        ("Repairs", "running"): 1
    }
    assert shown(hooks(("a", "t", LATE), ("A", "T", EARLY), ("a", "t", "soon"))) == {
        ("a", "t"): 1795773600
    }
    assert shown(pool(("1", "running", 2), ("1", "Running", 3))) == {("1", "running"): 5}


@pytest.mark.parametrize(
    "details",
    [
        services((LONG + "a", LONG), (LONG + "b", LONG)),
        hooks((LONG + "a", LONG, LATE), (LONG + "b", LONG, LATE)),
        pool((LONG + "a", LONG, 1), (LONG + "b", LONG, 1)),
    ],
)
def test_texts_that_are_cut_to_the_same_are_one_series(details: SetDetails) -> None:
    (labels,) = shown(details)
    assert all(len(label.encode()) <= LONGEST_VALUE for label in labels)


ODD: list[Any] = [None, 7, -1, 1e30, 10**400, "", " ", "x" * 100_000, [], {}, True, "\ud83d"]


def of(document: object) -> bytes:
    return json.dumps(document).encode()


def test_whatever_the_fields_are_no_series_comes_twice() -> None:
    views = [{"serviceName": name, "serviceState": state} for name in ODD for state in ODD]
    events = [
        {"name": name, "properties": {"type": kind, "state": "Active", "waitUntil": until}}
        for name in ODD
        for kind in ODD
        for until in (*ODD, EARLY)
    ]
    zones = [
        {"zone": zone, "instanceCountsByState": [{"state": state, "count": count}]}
        for zone in ODD
        for state in ODD
        for count in (*ODD, 3)
    ]
    (found, _), *more = decode_lifecycle_hooks(of({"value": events}))
    found += [hook for piece, _ in more for hook in piece]
    served = shown(
        SetDetails(
            services=decode_services(of({"orchestrationServices": views})),
            lifecycle_hooks=tuple(found),
            standby_pool=decode_standby_pool(
                of({"properties": {"instanceCountSummary": zones[:500]}})
            ),
        )
    )
    assert served
    assert all(0 <= value < 2**33 for value in served.values())


@pytest.mark.parametrize("count", [-1, 2**31, 10**30, 1e30, 1.5, "4", True])
def test_a_count_of_patches_that_no_machine_has_is_left_out_and_counted(count: object) -> None:
    summary = {"criticalAndSecurityPatchCount": count, "otherPatchCount": 3, "rebootPending": True}
    view = {"patchStatus": {"availablePatchSummary": summary}}
    item = {"instanceId": "0", "properties": {"instanceView": view}}
    mapping = Mapper().start(WEB_TARGET, TargetMemory())
    for page in decode_instance_page(of({"value": [item]})):
        mapping.add(page.instances, page.problems, lost=page.lost)
    mapped = mapping.finish()
    assert text_of(mapped, PATCHES) == (f'{PATCHES}{{instance_id="0",classification="other"}} 3\n')
    assert mapped.mapping_errors == {PATCHES: 1}
