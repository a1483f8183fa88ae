"""Every alert is complete, has a runbook, and is tested by promtool in each way that matters."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.answers import ROOT
from support.promql import selectors
from support.rules import ALERTS, RECORDED, RULE_FILES, RUNBOOKS, UNIT_TESTS, Alert, read

PAGES = "https://github.com/azure-vmss-exporter/azure-vmss-exporter/blob/main/docs/runbooks"
SECTIONS = ["Meaning", "Impact", "First look", "Causes", "Remedies", "When to ignore"]
CASES = {
    "fires": r"fires once for two exporters and resolves",
    "does not fire": r"does not fire .+",
    "poll gap": r"goes on through a poll gap",
    "restart": r"outlasts a restart of the exporter.*",
}

by_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def promtool(*arguments: str | Path) -> str:
    """What promtool says when it finds something wrong, else nothing."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not installed")
    command = [path, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.prometheus
def test_promtool_finds_nothing_in_the_rules() -> None:
    assert promtool("check", "rules", *RULE_FILES) == ""


@pytest.mark.prometheus
@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_and_resolve_when_they_should(path: Path) -> None:
    assert promtool("test", "rules", path) == ""


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_a_unit_test_evaluates_what_is_recorded_before_what_asks_for_it(path: Path) -> None:
    """Without an order promtool takes one at random, and an alert comes a step later or not."""
    document = read(path)
    files = [read(path.parent / name) for name in document["rule_files"]]
    groups = {group["name"]: group["rules"] for file in files for group in file["groups"]}
    order = document["group_eval_order"]
    assert sorted(order) == sorted(groups)
    recorded: set[str] = set()
    for name in order:
        for rule in groups[name]:
            asked = {one.name for one in selectors(rule["expr"])}
            elsewhere = {
                rule["record"]
                for other in groups.keys() - {name}
                for rule in groups[other]
                if "record" in rule
            }
            assert asked & elsewhere <= recorded, rule
            recorded |= {rule["record"]} if "record" in rule else set()


@by_alert
def test_every_alert_is_tested_in_each_case(alert: Alert) -> None:
    groups = [test for path in UNIT_TESTS for test in read(path)["tests"]]
    mine = [test for test in groups if test["name"].split()[0] == alert.name]
    for case, pattern in CASES.items():
        matching = [t for t in mine if re.fullmatch(f"{alert.name} {pattern}", t["name"])]
        assert matching, case
        asked = {
            check.get("alertname") or alert.name
            for test in matching
            for check in [*test.get("alert_rule_test", []), *test.get("promql_expr_test", [])]
            if check.get("alertname") or f'alertname="{alert.name}"' in check["expr"]
        }
        assert asked == {alert.name}, case
    for test in mine:
        told = [bool(check["exp_alerts"]) for check in test.get("alert_rule_test", [])]
        if " fires " in test["name"]:
            assert any(told), "it fires at no time that is looked at"
        if "resolves" in test["name"]:
            assert not told[-1], "it has not resolved at the last time that is looked at"
        if "does not fire" in test["name"]:
            assert told, "nothing is looked at"
            assert not any(told)


def test_no_unit_test_is_of_an_alert_that_is_gone() -> None:
    names = {test["name"].split()[0] for path in UNIT_TESTS for test in read(path)["tests"]}
    assert names == {alert.name for alert in ALERTS}


def test_names_are_unique_and_speak_of_scale_sets() -> None:
    names = [alert.name for alert in ALERTS]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"AzureVMSS([A-Z][A-Za-z]*)+", name)] == []
    recorded = r"azure_vmss:[a-z_]+:(held|count|ratio|seconds|threshold)"
    assert [name for name in RECORDED if not re.fullmatch(recorded, name)] == []


@by_alert
def test_an_alert_has_its_labels_and_annotations(alert: Alert) -> None:
    assert set(alert.labels) == {"severity"}
    assert alert.severity in {"critical", "warning", "info"}
    assert set(alert.annotations) == {"summary", "description", "runbook_url"}
    assert alert.annotations["runbook_url"] == f"{PAGES}/{alert.name}.md"
    assert not alert.annotations["summary"].rstrip().endswith(".")
    assert alert.annotations["description"].rstrip().endswith(".")


@by_alert
def test_an_alert_does_not_flap(alert: Alert) -> None:
    """It waits, or looks back over a range; and one good scrape does not resolve it."""
    assert alert.waits >= 300 or re.search(r"increase\(.+\[\d+[mh]\]", alert.expression)
    assert alert.keeps_firing >= 300


@by_alert
def test_an_alert_that_is_about_a_set_names_it(alert: Alert) -> None:
    about = alert.annotations["summary"]
    if "azure_vmss_exporter_" in alert.expression or "quota_left" in alert.expression:
        return
    assert "$labels.scale_set" in about
    assert "$labels.resource_group" in about


def test_every_runbook_belongs_to_an_alert() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("AzureVMSS*.md")}
    assert pages == {alert.name for alert in ALERTS}


@by_alert
def test_a_runbook_has_every_part_and_its_judgement(alert: Alert) -> None:
    page = (RUNBOOKS / f"{alert.name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {alert.name}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS
    assert f"**{alert.severity.capitalize()}.**" in page
    woken = "Wakes you" if alert.severity == "critical" else "Does not wake you"
    assert woken in page


@by_alert
def test_the_overview_of_the_runbooks_is_current(alert: Alert) -> None:
    rows = (RUNBOOKS / "README.md").read_text(encoding="utf-8").splitlines()
    (row,) = [row for row in rows if f"[{alert.name}]({alert.name}.md)" in row]
    assert f"| {alert.severity} |" in row


AZ = {
    "account get-access-token",
    "account set",
    "ad app credential list",
    "identity list",
    "lock list",
    "monitor activity-log list",
    "network vnet subnet list",
    "rest",
    "role assignment create",
    "role assignment list",
    "vm list-usage",
    "vmss deallocate",
    "vmss delete-instances",
    "vmss disk attach",
    "vmss disk detach",
    "vmss extension delete",
    "vmss extension show",
    "vmss get-instance-view",
    "vmss list",
    "vmss list-instance-connection-info",
    "vmss list-instances",
    "vmss reimage",
    "vmss restart",
    "vmss rolling-upgrade cancel",
    "vmss rolling-upgrade get-latest",
    "vmss run-command invoke",
    "vmss scale",
    "vmss show",
    "vmss start",
    "vmss stop",
    "vmss update-instances",
}
"""The commands of the Azure CLI that runbooks may use; one that is new is added with a look at its
reference."""


@by_alert
def test_a_runbook_uses_commands_and_links_that_exist(alert: Alert) -> None:
    page = (RUNBOOKS / f"{alert.name}.md").read_text(encoding="utf-8")
    commands = set(re.findall(r"\baz ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)*)", page))
    assert {c for c in commands if not any(c == k or c.startswith(f"{k} ") for k in AZ)} == set()
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page)
    assert [target for target in targets if not (RUNBOOKS / target).exists()] == []
