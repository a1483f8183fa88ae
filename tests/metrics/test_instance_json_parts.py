"""The JSON of an instance: the statuses of every part, and what is read besides."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from exporter.azure.decode import decode_instance_page
from exporter.metrics.mapper import Mapper, TargetMemory
from support.answers import WEB_TARGET, described, instance, map_instances


def status(code: str) -> dict[str, Any]:
    said = {"displayStatus": f"{code}!", "message": f"of {code}", "time": f"time of {code}"}
    return {"code": code, "level": "Info", **said}


VIEW = {
    "statuses": [status("a/1"), None, status("a/2")],
    "vmHealth": {"status": status("b/1")},
    "vmAgent": {
        "vmAgentVersion": "2.9",
        "statuses": [status("c/1")],
        "extensionHandlers": [
            {"type": "Custom", "status": status("d/1")},
            None,
            {"type": "Other"},
        ],
    },
    "extensions": [
        {"name": "first", "statuses": [status("e/1")], "substatuses": [status("f/1")]},
        None,
        {"name": "second", "statuses": [status("e/2")]},
    ],
    "disks": [{"name": "os", "statuses": [status("g/1")]}, None],
}
PARTS = [
    ("instance", None, "a/1"),
    ("instance", None, "a/2"),
    ("vm_health", None, "b/1"),
    ("vm_agent", None, "c/1"),
    ("extension_handler", "Custom", "d/1"),
    ("extension", "first", "e/1"),
    ("extension_substatus", "first", "f/1"),
    ("extension", "second", "e/2"),
    ("disk", "os", "g/1"),
]


@pytest.mark.parametrize("messages", [True, False])
def test_the_statuses_of_every_part_are_reported_with_what_they_are_of(*, messages: bool) -> None:
    (one,) = described(map_instances(instance(VIEW)), messages=messages)
    assert [(each["part"], each.get("name"), each["code"]) for each in one["statuses"]] == PARTS
    for each in one["statuses"]:
        assert each["level"] == "Info"
        assert each["time"] == f"time of {each['code']}"
        assert each["display_status"] == f"{each['code']}!"
        assert each.get("message") == (f"of {each['code']}" if messages else None)
    assert one["vm_agent_version"] == "2.9"


def test_an_instance_of_which_azure_says_nothing_has_the_states_only() -> None:
    (one,) = described(map_instances(instance(None, instance_id="7")))
    del one["azure"]
    assert one == {
        "instance_id": "7",
        "instance_name": "web_7",
        "power_state": "unknown",
        "provisioning_state": "unknown",
        "statuses": [],
    }


def shown(odd: Any) -> Any:
    """What is shown of a field that nobody knows, as Azure may add one any day."""
    body = {"value": [{"instanceId": "1", "odd": odd, "properties": {"instanceView": VIEW}}]}
    mapping = Mapper().start(WEB_TARGET, TargetMemory())
    for page in decode_instance_page(json.dumps(body).encode()):
        for _ in mapping.steps(page):
            pass
    (one,) = described(mapping.finish())
    assert len(one["statuses"]) == len(PARTS)
    return one["azure"]["odd"]


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_what_is_nested_deeply_is_cut_and_the_rest_is_there(wrap: Callable[[Any], Any]) -> None:
    deep: Any = "the bottom"
    for _ in range(20):
        deep = wrap(deep)
    assert shown(deep) == deep
    for _ in range(10):
        deep = wrap(deep)
    assert "the bottom" not in str(shown([deep, "beside"]))
    assert shown([deep, "beside"])[1] == "beside"


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63), 1.5, True])
def test_a_number_is_shown_as_it_is(number: float) -> None:
    assert shown(number) == number


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**70])
def test_a_number_that_readers_would_garble_is_text(number: int) -> None:
    assert shown(number) == str(number)
