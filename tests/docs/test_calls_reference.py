"""What is said of calls and permissions is what the table of calls says."""

from __future__ import annotations

import json
import re

from exporter import calls_reference
from exporter.azure.operation import OPERATIONS
from support.answers import ROOT

ACTIONS = {operation.rbac_action for operation in OPERATIONS}


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "azure-calls.md").read_text(encoding="utf-8")
    assert page == calls_reference.render() + "\n", "run `make docs`"


def test_the_roles_have_the_actions_of_the_table_and_no_other() -> None:
    role = json.loads((ROOT / "deploy/azure/role.json").read_text(encoding="utf-8"))
    assert set(role["Actions"]) == ACTIONS
    assert role["NotActions"] == role["DataActions"] == []
    bicep = (ROOT / "deploy/azure/role.bicep").read_text(encoding="utf-8")
    assert (
        set(
            re.findall(
                r"'(Microsoft\.(?:Compute|Insights|ResourceGraph|Resources|StandbyPool)/\S+/read)'",
                bicep,
            )
        )
        == ACTIONS
    )


def test_the_page_about_permissions_names_every_action() -> None:
    page = (ROOT / "docs" / "permissions.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| .+ \| `(\S+)` \|", page, re.MULTILINE)) == ACTIONS


def test_the_page_about_permissions_tells_what_each_call_is_for() -> None:
    page = (ROOT / "docs" / "permissions.md").read_text(encoding="utf-8").replace("`", "")
    rows = re.findall(r"^\| (.+) \| (\S+) \|", page, re.MULTILINE)
    untold = [
        operation.name
        for operation in OPERATIONS
        if not any(
            operation.feature in purpose and action == operation.rbac_action
            for purpose, action in rows
        )
    ]
    assert untold == []
