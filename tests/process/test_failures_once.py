"""What `--once` and `--estimate` say on stderr of what could not be read, and their exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.azure.operation import (
    GET_STANDBY_POOL,
    LIST_INSTANCES,
    LIST_RESOURCE_GROUPS,
    LIST_SCALE_SETS,
    OPERATIONS,
    QUERY_GRAPH,
    Operation,
)
from support.answers import SUBSCRIPTION
from support.process import run
from support.simulated import configured, simulated_azure

pytestmark = pytest.mark.process

FLEET = f"""\
subscription_id: {SUBSCRIPTION}
scale_sets:
  - {{name: web, resource_group: rg-web, size: 2, standby: 1, autoscale: [1, 3]}}
  - {{name: api, resource_group: rg-web, size: 1}}
"""
MODEL = (
    "model: {services: true, rolling_upgrades: true, lifecycle_hooks: true, "
    "standby_pools: true, autoscale: true}\n"
)
OF_MODEL = [one for one in OPERATIONS if one.feature.startswith("model.")]
OF_SUBSCRIPTION = f"/subscriptions/{SUBSCRIPTION}"
GROUP = f"{OF_SUBSCRIPTION}/resourceGroups/rg-web/providers/Microsoft.Compute"
WEB = f"{GROUP}/virtualMachineScaleSets/web"
API = f"{GROUP}/virtualMachineScaleSets/api"


def faults(kind: str, *operations: str) -> str:
    """The end of a fleet: what goes wrong with these calls of the simulated Azure."""
    found = ", ".join(f"{{kind: {kind}, operation: {operation}}}" for operation in operations)
    return f"{FLEET}faults: [{found}]\n"


def forbidden(*operations: str) -> str:
    return faults("status, status: 403", *operations)


def missing(operation: Operation, *scopes: str) -> str:
    """The beginning of the line about a missing permission."""
    return (
        f"missing permission: {operation.feature}: {operation.rbac_action} on {', '.join(scopes)}; "
        "assign there the role of deploy/azure/role.json"
    )


def told(lines: str, beginnings: list[str]) -> bool:
    """Whether these are the lines, by their beginnings."""
    found = lines.splitlines()
    return len(found) == len(beginnings) and all(map(str.startswith, found, beginnings))


def with_model(folder: Path, url: str, *names: str) -> str:
    flag = configured(folder, url, *names)
    with Path(flag.partition("=")[2]).open("a", encoding="utf-8") as file:
        file.write(MODEL)
    return flag


def found(folder: Path, url: str) -> str:
    """A configuration that finds its sets in place of listing them."""
    flag = configured(folder, url)
    path = Path(flag.partition("=")[2])
    text = path.read_text(encoding="utf-8").replace("scale_sets:\n", "")
    path.write_text(f"{text}discovery: [{{subscriptions: [{SUBSCRIPTION}]}}]\n", encoding="utf-8")
    return flag


def test_what_model_asks_for_is_named_by_its_key_where_it_is_not_allowed(tmp_path: Path) -> None:
    of_sets = ("scale_set_view", "rolling_upgrade", "lifecycle_hooks")
    fleet = forbidden(*of_sets, "standby_pools", "autoscale")
    with simulated_azure(tmp_path, fleet) as url:
        flag = with_model(tmp_path, url, "web", "api")
        once = run("--once", flag, folder=tmp_path)
        estimate = run("--config.check", "--estimate", flag, folder=tmp_path)
    lines = [
        missing(one, *([API, WEB] if "Compute" in one.rbac_action else [OF_SUBSCRIPTION]))
        for one in sorted(OF_MODEL, key=lambda one: one.feature)
        if one is not GET_STANDBY_POOL
    ]
    assert len(lines) == 5
    for ended in (once, estimate):
        assert ended.returncode == 0, "it is not what the sets need"
        assert told(ended.stderr, lines), ended.stderr


def test_a_pool_that_may_not_be_read_is_named_for_itself(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, forbidden("standby_pool")) as url:
        ended = run("--once", with_model(tmp_path, url, "web", "api"), folder=tmp_path)
    assert ended.returncode == 0
    (line,) = ended.stderr.splitlines()
    assert line.startswith(
        f"missing permission: model.standby_pools: {GET_STANDBY_POOL.rbac_action}"
    )


def test_instances_that_may_not_be_listed_fail_their_set(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, forbidden("instances")) as url:
        ended = run("--once", configured(tmp_path, url, "web", "api"), folder=tmp_path)
    assert ended.returncode == 1
    *sets, summary = ended.stderr.splitlines()
    assert ["not allowed to read" in line for line in sets] == [True, True]
    assert summary.startswith(missing(LIST_INSTANCES, API, WEB))


def test_resource_graph_and_groups_cost_nothing_where_the_lists_are_allowed(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, forbidden("graph", "resource_groups")) as url:
        ended = run("--once", found(tmp_path, url), folder=tmp_path)
    assert ended.returncode == 0
    lines = [line for line in ended.stderr.splitlines() if "permission" in line]
    assert told(
        "\n".join(lines),
        [
            missing(QUERY_GRAPH, "the subscriptions"),
            missing(LIST_RESOURCE_GROUPS, OF_SUBSCRIPTION),
        ],
    ), ended.stderr


def test_a_list_that_is_not_allowed_fails_the_search(tmp_path: Path) -> None:
    with simulated_azure(tmp_path, forbidden("graph", "scale_sets")) as url:
        ended = run("--once", found(tmp_path, url), folder=tmp_path)
    assert ended.returncode == 1
    assert f"discovery[0]: {SUBSCRIPTION}: not allowed to read" in ended.stderr
    assert missing(LIST_SCALE_SETS, OF_SUBSCRIPTION) in ended.stderr
    assert "found no scale set; check the patterns, and that the identity may" in ended.stderr


def test_other_failures_of_what_model_asks_for_are_named_once(tmp_path: Path) -> None:
    fleet = faults("status, status: 400", "autoscale", "rolling_upgrade")
    with simulated_azure(tmp_path, fleet) as url:
        ended = run("--once", with_model(tmp_path, url, "web", "api"), folder=tmp_path)
    assert ended.returncode == 0
    autoscale, upgrades = ended.stderr.splitlines()
    assert autoscale.startswith(f"model.autoscale: {SUBSCRIPTION}: Azure declines the request")
    assert upgrades.startswith("model.rolling_upgrades: ")
    assert upgrades.endswith("(and 1 more)")


def test_what_was_put_off_is_named_too(tmp_path: Path) -> None:
    fleet = faults("throttled, retry_after: '30'", "scale_set_view")
    with simulated_azure(tmp_path, fleet) as url:
        names = [f"none-{number}" for number in range(9)]
        ended = run("--once", with_model(tmp_path, url, "web", *names), folder=tmp_path)
    assert ended.returncode == 1, "of the sets that do not exist"
    said = [line for line in ended.stderr.splitlines() if line.startswith("model.services: ")]
    assert any("not read of" in line and "Azure asked to wait" in line for line in said)
