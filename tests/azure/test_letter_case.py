"""Names of fields are recognised in any letter case, wherever Azure or a gateway changes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from exporter.azure.decode import WHOLE_BYTES, decode_instance_page
from exporter.azure.decode_scale_sets import decode_scale_set
from exporter.azure.error_body import ErrorDetail, decode_error
from exporter.metrics.mapper import Mapper, TargetMemory
from exporter.model.instance_view import Instance
from exporter.model.lenient_decode import respelled
from support.answers import WEB, WEB_TARGET, decode_page, described

ITEM: dict[str, Any] = {
    "instanceId": "0",
    "id": f"{WEB.resource_id}/virtualMachines/0",
    "zones": ["1"],
    "tags": {"Name": "kept", "name": "too"},
    "properties": {
        "provisioningState": "Succeeded",
        "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
        "instanceView": {
            "platformFaultDomain": 1,
            "osName": "ubuntu",
            "vmAgent": {
                "vmAgentVersion": "2.9",
                "statuses": [{"code": "ProvisioningState/succeeded", "displayStatus": "Ready"}],
                "extensionHandlers": [{"type": "h", "typeHandlerVersion": "1", "status": None}],
            },
            "statuses": [{"code": "PowerState/running", "level": "Info", "displayStatus": "VM"}],
            "extensions": [{"name": "e", "statuses": [{"code": "ProvisioningState/failed/1"}]}],
            "disks": [{"name": "d", "statuses": [None]}],
        },
    },
}
PLAIN = {
    "instanceId": "9",
    "properties": {"instanceView": {"statuses": [{"code": "PowerState/stopped"}]}},
}


def pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


CASES = [str.lower, str.upper, pascal]


def spelled(value: Any, case: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {
            case(key): inner if key == "tags" else spelled(inner, case)
            for key, inner in value.items()
        }
    return [spelled(inner, case) for inner in value] if isinstance(value, list) else value


def body(*items: Any, padding: int = 0) -> bytes:
    return json.dumps({"value": items, "padding": "x" * padding}).encode()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("padding", [0, WHOLE_BYTES], ids=["whole", "in chunks"])
def test_an_answer_in_another_letter_case_says_the_same(
    case: Callable[[str], str], padding: int
) -> None:
    wanted = decode_page(body(ITEM, ITEM))
    found = decode_page(
        json.dumps(spelled({"value": [ITEM, ITEM], "pad": "x" * padding}, case)).encode()
    )
    assert found == wanted
    assert found.problems == []


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_item_in_another_letter_case_says_the_same(
    case: Callable[[str], str], place: int
) -> None:
    items = [PLAIN, PLAIN]
    items.insert(place, spelled(ITEM, case))
    found = decode_page(body(*items)).instances
    assert found[place] == decode_page(body(ITEM)).instances[0]


@pytest.mark.parametrize(
    "name", ["vmAgent", "statuses", "extensions", "osName", "platformFaultDomain"]
)
def test_one_name_in_another_letter_case_in_all_items_is_recognised(name: str) -> None:
    view = ITEM["properties"]["instanceView"]
    other = {pascal(name) if key == name else key: inner for key, inner in view.items()}
    items = [{**ITEM, "properties": {**ITEM["properties"], "instanceView": other}}] * 3
    assert decode_page(body(*items)) == decode_page(body(ITEM, ITEM, ITEM))


def test_an_odd_field_beside_another_letter_case_costs_itself_only() -> None:
    item = spelled(ITEM, pascal)
    item["Properties"]["InstanceView"]["OsName"] = 5
    (found,) = decode_page(body(item)).instances
    assert found.properties is not None
    assert found.properties.instance_view is not None
    assert found.properties.instance_view.os_name is None
    assert found.properties.instance_view.computer_name is None
    assert (found.properties.instance_view.statuses or [None])[0] is not None


def test_of_two_spellings_the_known_one_counts() -> None:
    (found,) = decode_page(b'{"value":[{"InstanceId":"1","instanceId":"2"}]}').instances
    assert found.instance_id == "2"


@pytest.mark.parametrize("name", ["nextLink", "NextLink", "nextlink", "NEXTLINK"])
@pytest.mark.parametrize("padding", [0, WHOLE_BYTES], ids=["whole", "in chunks"])
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_next_link_is_never_missed(name: str, padding: int, first: bool) -> None:  # noqa: FBT001
    items = {"value": [{**PLAIN, "padding": "x" * padding}]}
    link = {name: "https://next"}
    found = decode_page(json.dumps({**link, **items} if first else {**items, **link}).encode())
    assert found.next_link == "https://next"
    assert len(found.instances) == 1


@pytest.mark.parametrize(
    "page",
    [
        b'{"NextLink":"n","value":[%b]}',
        b'{"value":[%b],"NextLink":"n"}',
        b'{"NextLink":"n","value":[],"value":[%b]}',
        b'{ "value" : [ %b ] , "NextLink" : "n" }',
        b'{"value":[%b],"other":[{"a":"]"}],"NextLink":"n"}',
        b'{"value":[%b],"\\ud800":1,"NextLink":"n"}',
        b'{"value":[%b],"N\\u0065xtLink":"n"}',
    ],
)
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_a_next_link_is_found_wherever_it_stands(page: bytes, count: int) -> None:
    found = decode_page(page % b",".join([json.dumps(PLAIN).encode()] * count))
    assert found.next_link == "n"
    assert len(found.instances) == count


@pytest.mark.parametrize("beside", [b"", b',"NextLink":null', b',"NextLink":5', b',"next":"Link"'])
def test_what_is_no_next_link_ends_the_walk(beside: bytes) -> None:
    found = decode_page(b'{"value":[%b]%b}' % (json.dumps(PLAIN).encode(), beside))
    assert found.next_link is None
    assert len(found.instances) == 1


@pytest.mark.parametrize("count", [0, 1, 20])
def test_a_page_without_room_for_a_link_is_not_read_again(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_again(_: bytes) -> None:
        pytest.fail("read again")

    monkeypatch.setattr("exporter.azure.decode.envelope_of", read_again)
    items = b",".join([json.dumps(PLAIN).encode()] * count)
    assert len(decode_page(b'{"value":[%b]}' % items).instances) == count


@pytest.mark.parametrize("case", CASES)
def test_the_set_in_another_letter_case_says_the_same(case: Callable[[str], str]) -> None:
    answer = {
        "id": WEB.resource_id,
        "location": "westeurope",
        "sku": {"name": "Standard_D2s_v5", "capacity": 3},
        "tags": {"Name": "a", "name": "b"},
        "properties": {
            "orchestrationMode": "Uniform",
            "upgradePolicy": {"mode": "Manual"},
            "virtualMachineProfile": {"evictionPolicy": "Delete", "priority": "Spot"},
        },
    }
    wanted = decode_scale_set(json.dumps(answer).encode(), scale_set=WEB)
    assert wanted[0].capacity == 3
    assert decode_scale_set(json.dumps(spelled(answer, case)).encode(), scale_set=WEB) == wanted


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("wrapped", [True, False])
def test_an_error_in_another_letter_case_says_the_same(
    case: Callable[[str], str],
    wrapped: bool,  # noqa: FBT001
) -> None:
    error = {"code": "A", "message": "b", "target": "c", "details": [{"code": "D"}, 5]}
    answer = spelled({"error": error} if wrapped else error, case)
    found = decode_error(json.dumps(answer).encode())
    assert (found.code, found.message, found.target) == ("A", "b", "c")
    assert found.details == (ErrorDetail("D", "", ""),)


def test_the_json_shows_what_was_read_of_it() -> None:
    mapping = Mapper().start(WEB_TARGET, TargetMemory())
    for page in decode_instance_page(body(spelled(ITEM, pascal), spelled(ITEM, str.lower))):
        for _ in mapping.steps(page):
            pass
    (found,) = described(mapping.finish())
    assert (found["power_state"], found["vm_agent_version"]) == ("running", "2.9")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ITEM).encode(),
        b"5",
        b"[",
        b'{"Name":1e999}',
        b'{"Name":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"Name":"' + b"x" * 1024 * 1024 + b'"}',
    ],
)
def test_what_is_spelled_as_known_or_cannot_be_read_stays_as_it_is(text: bytes) -> None:
    assert respelled(text, Instance) is None
