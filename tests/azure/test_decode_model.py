"""The set's own facts and Azure's error bodies, read with the same tolerance as the pages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.azure.decode_scale_sets import decode_scale_set
from exporter.azure.error_body import ErrorBody, ErrorDetail, decode_error
from exporter.azure.errors import BrokenAnswer
from exporter.model.scale_set import ScaleSetModel


def test_a_scale_set_tells_its_facts() -> None:
    body = {
        "id": "/subscriptions/s",
        "location": "westeurope",
        "sku": {"name": "Standard_D2s_v3", "tier": "Standard", "capacity": 3},
        "tags": {"team": "web", "empty": "", "null": None},
        "properties": {
            "orchestrationMode": "Uniform",
            "upgradePolicy": {"mode": "Rolling"},
            "virtualMachineProfile": {"priority": "Spot", "evictionPolicy": "Delete"},
        },
    }
    assert decode_scale_set(json.dumps(body).encode()) == (
        ScaleSetModel(
            location="westeurope",
            sku="Standard_D2s_v3",
            capacity=3,
            orchestration_mode="Uniform",
            upgrade_policy="Rolling",
            has_profile=True,
            priority="Spot",
            eviction_policy="Delete",
            tags={"team": "web", "empty": ""},
        ),
        [],
    )


@pytest.mark.parametrize("body", [{}, {"sku": None, "properties": None, "tags": None}])
def test_a_bare_scale_set_has_no_facts(body: Any) -> None:
    assert decode_scale_set(json.dumps(body).encode()) == (ScaleSetModel(), [])


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"location": 5}, "location"),
        ({"sku": "x"}, "sku"),
        ({"sku": {"capacity": "3"}}, "sku.capacity"),
        ({"sku": {"capacity": -1}}, "sku.capacity"),
        ({"sku": {"capacity": 1e300}}, "sku.capacity"),
        ({"sku": {"capacity": True}}, "sku.capacity"),
        ({"tags": []}, "tags"),
        ({"tags": {"team": 5}}, "tags[]"),
        ({"properties": {"upgradePolicy": []}}, "properties.upgradePolicy"),
        ({"properties": {"virtualMachineProfile": "x"}}, "properties.virtualMachineProfile"),
    ],
)
def test_an_odd_field_of_a_scale_set_costs_itself_only(body: Any, path: str) -> None:
    rest = {"name": "web", "zones": ["1"]}
    facts, problems = decode_scale_set(json.dumps({**body, **rest}).encode())
    assert [problem.path for problem in problems] == [path]
    assert facts == ScaleSetModel()


def test_an_odd_tag_leaves_the_others() -> None:
    facts, _ = decode_scale_set(b'{"location":"West US 2 "}')
    assert facts.location == "westus2"
    facts, _ = decode_scale_set(b'{"location":" "}')
    assert facts.location is None
    facts, _ = decode_scale_set(b'{"tags":{"a":5,"b":"c"},"location":"x"}')
    assert (facts.tags, facts.location) == ({"b": "c"}, "x")


def test_an_odd_profile_is_a_profile_still() -> None:
    facts, problems = decode_scale_set(b'{"properties":{"virtualMachineProfile":{"priority":1}}}')
    assert facts.has_profile
    assert facts.priority is None
    assert len(problems) == 1


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b"", b"{", b"<html>", b'{"a":"\xff"}'])
def test_what_is_no_scale_set_is_a_broken_answer(body: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        decode_scale_set(body)


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_error_body_is_read_wrapped_or_not(wrapped: bool) -> None:  # noqa: FBT001 - a parameter
    error = {
        "code": "OperationNotAllowed",
        "message": "no",
        "target": "$skiptoken",
        "details": [{"code": "a", "message": "b", "target": "c"}, None, {"code": 5}],
    }
    body = json.dumps({"error": error} if wrapped else error).encode()
    assert decode_error(body) == ErrorBody(
        "OperationNotAllowed", "no", "$skiptoken", (ErrorDetail("a", "b", "c"), ErrorDetail())
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"<html>", b"5", b'{"error":"x"}', b'{"code":5,"details":{}}', b"[" * 100_000],
)
def test_an_odd_error_body_is_empty(body: bytes) -> None:
    assert decode_error(body) == ErrorBody()
