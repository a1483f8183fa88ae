"""What the identity may not read, in lines for the operator."""

from __future__ import annotations

from dataclasses import replace

from exporter.azure.denials import SHOWN_SCOPES, Denials
from exporter.azure.errors import Forbidden
from exporter.azure.operation import GET_SERVICES, LIST_AUTOSCALE, QUERY_GRAPH, Operation, Scope
from support.answers import WEB


def lines(*denied: tuple[Operation, Scope, Forbidden]) -> list[str]:
    denials = Denials()
    for operation, scope, error in denied:
        denials.add(operation, scope, error)
    return list(denials.lines())


def refused(operation: Operation, scope: str = "", advice: str = "") -> Forbidden:
    return Forbidden("no", action=operation.rbac_action, scope=scope, advice=advice)


def test_a_line_names_the_feature_the_action_the_place_and_the_role() -> None:
    (line,) = lines((LIST_AUTOSCALE, Scope("S"), refused(LIST_AUTOSCALE)))
    assert line.startswith(
        "missing permission: model.autoscale: Microsoft.Insights/autoscaleSettings/read on "
        "/subscriptions/S; assign there the role of deploy/azure/role.json"
    )
    assert "docs/permissions.md" in line


def test_the_place_is_as_azure_names_it_else_what_was_asked_about() -> None:
    of_set = Scope.of(WEB)
    (line,) = lines((GET_SERVICES, of_set, refused(GET_SERVICES)))
    assert f" on {WEB.resource_id};" in line
    (line,) = lines((GET_SERVICES, of_set, refused(GET_SERVICES, "/subscriptions/S")))
    assert " on /subscriptions/S;" in line
    (line,) = lines((QUERY_GRAPH, Scope(""), refused(QUERY_GRAPH, "/")))
    assert " on the subscriptions;" in line


def test_many_sets_are_one_line_that_tells_how_many() -> None:
    sets = [Scope.of(replace(WEB, name=f"web-{number}")) for number in range(SHOWN_SCOPES + 2)]
    denied = [(GET_SERVICES, scope, refused(GET_SERVICES)) for scope in sets]
    (line,) = lines(*denied, *denied)
    assert line.count("/virtualMachineScaleSets/web-") == SHOWN_SCOPES
    assert " and 2 more; " in line
    (line,) = lines(*denied[:SHOWN_SCOPES])
    assert "more" not in line


def test_the_letter_case_of_an_answer_makes_no_line_of_its_own() -> None:
    loud = Forbidden("no", action=LIST_AUTOSCALE.rbac_action.upper(), scope="/SUBSCRIPTIONS/S")
    found = lines(
        (LIST_AUTOSCALE, Scope("S"), refused(LIST_AUTOSCALE, "/subscriptions/S")),
        (LIST_AUTOSCALE, Scope("S"), loud),
    )
    assert len(found) == 1
    assert LIST_AUTOSCALE.rbac_action in found[0]


def test_an_action_that_azure_names_in_place_of_the_call_s_is_told() -> None:
    error = Forbidden("no", action="Microsoft.Other/things/read")
    (line,) = lines((GET_SERVICES, Scope("S"), error))
    assert line.startswith("missing permission: model.services: Microsoft.Other/things/read on ")


def test_where_no_role_helps_none_is_advised() -> None:
    (line,) = lines((GET_SERVICES, Scope("S"), refused(GET_SERVICES, advice="have it excluded")))
    assert line.startswith("not allowed: model.services: ")
    assert line.endswith("; have it excluded")
    assert "role" not in line
