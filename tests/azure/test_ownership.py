"""An answer belongs to the scale set that was asked for, in whatever letter case it says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.azure.decode import WHOLE_BYTES, decode_instance_page
from exporter.azure.decode_scale_sets import decode_scale_set
from exporter.azure.errors import BrokenAnswer
from exporter.model.scale_set import ScaleSetId
from support.answers import SUBSCRIPTION, WEB

GROUPS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups"
OWN = f"{WEB.resource_id}/virtualMachines/1"
OTHERS = [
    f"{GROUPS}/rg-web/providers/Microsoft.Compute/virtualMachineScaleSets/web2/virtualMachines/1",
    f"{GROUPS}/rg-web2/providers/Microsoft.Compute/virtualMachineScaleSets/web/virtualMachines/1",
    OWN.replace(SUBSCRIPTION, SUBSCRIPTION.replace("0", "1")),
    OWN.replace("/web/", "/we/").upper(),
    OWN.replace("/web/", "/other/").replace("/virtual", "//virtual"),
    "/virtualMachineScaleSets/web%32/virtualMachines/1",
    "https://management.azure.com" + OWN.replace("/web/", "/other/"),
]
OWNS = [
    OWN,
    OWN.upper(),
    OWN.lower(),
    OWN.replace("rg-web", "RG-WEB"),
    f" {OWN}/ ",
    "https://management.azure.com" + OWN,
    "1",
    "",
    None,
    "in another form/1",
    5,
    f"{GROUPS}/rg-web/providers/Microsoft.Compute/virtualMachines/web_1",
]


def page(resource_id: Any, *, padding: int = 0) -> bytes:
    items = [
        {"instanceId": "0", "id": f"{WEB.resource_id}/virtualMachines/0", "name": "x" * padding},
        {"instanceId": "1", "id": resource_id},
    ]
    return json.dumps({"value": items}).encode()


@pytest.mark.parametrize("padding", [0, WHOLE_BYTES], ids=["whole", "in chunks"])
@pytest.mark.parametrize("resource_id", OTHERS)
def test_an_item_of_another_set_fails_the_page(resource_id: str, padding: int) -> None:
    with pytest.raises(BrokenAnswer, match="about another scale set"):
        list(decode_instance_page(page(resource_id, padding=padding), scale_set=WEB))


@pytest.mark.parametrize("padding", [0, WHOLE_BYTES], ids=["whole", "in chunks"])
@pytest.mark.parametrize("resource_id", OWNS)
def test_an_item_of_the_set_is_known_in_any_spelling(resource_id: Any, padding: int) -> None:
    pages = list(decode_instance_page(page(resource_id, padding=padding), scale_set=WEB))
    assert [item.instance_id for found in pages for item in found.instances] == ["0", "1"]


def test_a_resource_group_may_be_called_as_a_part_of_an_id() -> None:
    odd = ScaleSetId(SUBSCRIPTION, "subscriptions", "resourceGroups")
    body = json.dumps({"value": [{"id": f"{odd.resource_id}/virtualMachines/1"}]}).encode()
    assert list(decode_instance_page(body, scale_set=odd))


@pytest.mark.parametrize(
    "answer",
    [
        {"id": WEB.resource_id.replace("/web", "/web2")},
        {"id": WEB.resource_id.replace("rg-web", "rg")},
        {"id": WEB.resource_id, "name": "web2"},
        {"name": "web2"},
    ],
)
def test_the_facts_of_another_set_are_refused(answer: dict[str, str]) -> None:
    with pytest.raises(BrokenAnswer, match="about another scale set"):
        decode_scale_set(json.dumps(answer).encode(), scale_set=WEB)


@pytest.mark.parametrize(
    "answer",
    [{}, {"id": WEB.resource_id.upper(), "name": "WEB"}, {"id": None, "name": None}, {"id": 5}],
)
def test_the_facts_of_the_set_are_taken(answer: dict[str, Any]) -> None:
    facts, _ = decode_scale_set(json.dumps({**answer, "location": "x"}).encode(), scale_set=WEB)
    assert facts.location == "x"
