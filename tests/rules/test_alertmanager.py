"""The example for Alertmanager routes every alert, and mutes what one larger alert has told."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from support.answers import ROOT
from support.rules import ALERTMANAGER, ALERTS, Alert, read

RECEIVERS = {"critical": "on-call", "warning": "team", "info": "nobody"}
SET = {"job": "azure-vmss", "subscription_id": "sub", "resource_group": "rg", "scale_set": "web"}
INSTANCE = {**SET, "instance_id": "7"}
ABOUT_THE_EXPORTER = {
    "AzureVMSSExporterDown",
    "AzureVMSSEventLoopBlocked",
    "AzureVMSSPollsLate",
    "AzureVMSSCircuitOpen",
    "AzureVMSSThrottled",
    "AzureVMSSQuotaNearlyUsed",
    "AzureVMSSConfigurationReloadFailed",
    "AzureVMSSMappingErrors",
    "AzureVMSSStateNotWritten",
    "AzureVMSSDiscoveryFailing",
    "AzureVMSSDiscoveryFoundNothing",
}
WHY_DATA_IS_MISSING = {
    "AzureVMSSDataStale",
    "AzureVMSSInstanceSeriesSuppressed",
    *(alert.name for alert in ALERTS if alert.name.startswith("AzureVMSSPoll")),
}
FROM_THE_DATA = {alert.name for alert in ALERTS} - ABOUT_THE_EXPORTER - WHY_DATA_IS_MISSING
OF_ONE_INSTANCE = {alert.name for alert in ALERTS if "instance_id" in alert.annotations["summary"]}


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = shutil.which("amtool")
    if path is None:
        pytest.skip("amtool is not installed")
    command = [path, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def matches(matchers: list[str], labels: dict[str, str]) -> bool:
    """Whether labels meet Alertmanager's matchers; a label that is absent is empty."""
    for text in matchers:
        found = re.fullmatch(r'(\w+)\s*(=~|!~|!=|=)\s*"(.*)"', text)
        assert found, text
        name, operator, value = found.groups()
        mine = labels.get(name, "")
        holds = bool(re.fullmatch(value, mine)) if "~" in operator else mine == value
        if holds == operator.startswith("!"):
            return False
    return True


def muted_by(source: dict[str, str], target: dict[str, str]) -> bool:
    """Whether one firing alert mutes another, as Alertmanager reads the inhibit rules."""
    return any(
        matches(rule["source_matchers"], source)
        and matches(rule["target_matchers"], target)
        and all(source.get(name, "") == target.get(name, "") for name in rule.get("equal", ()))
        for rule in read(ALERTMANAGER)["inhibit_rules"]
    )


def all_muted_by(alert: str, labels: dict[str, str]) -> set[str]:
    source = {"alertname": alert, **labels}
    return {
        one.name
        for one in ALERTS
        if muted_by(source, {"alertname": one.name, **labels, **INSTANCE})
    }


@pytest.mark.prometheus
def test_amtool_finds_nothing() -> None:
    checked = amtool("check-config", str(ALERTMANAGER))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.prometheus
@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_reaches_the_receiver_of_its_severity(alert: Alert) -> None:
    labels = {"alertname": alert.name, "severity": alert.severity, **SET}
    pairs = [f"{name}={value}" for name, value in labels.items()]
    routed = amtool("config", "routes", "test", f"--config.file={ALERTMANAGER}", *pairs)
    assert routed.stdout.strip() == RECEIVERS[alert.severity]


def test_one_notification_is_about_one_scale_set() -> None:
    (route,) = read(ALERTMANAGER)["route"]["routes"]
    assert route["group_by"] == ["job", "subscription_id", "resource_group", "scale_set"]


def test_an_exporter_that_is_down_mutes_all_else_of_its_job() -> None:
    every = {alert.name for alert in ALERTS}
    assert all_muted_by("AzureVMSSExporterDown", SET) == every - {"AzureVMSSExporterDown"}
    other = {"alertname": "AzureVMSSSetDown", **SET, "job": "azure-vmss-test"}
    assert not muted_by({"alertname": "AzureVMSSExporterDown", "job": "azure-vmss"}, other)
    assert muted_by({"alertname": "AzureVMSSExporterDown"}, other), "no such target is known"


def test_old_data_mutes_what_it_says_but_not_why_it_is_old() -> None:
    assert all_muted_by("AzureVMSSDataStale", SET) >= FROM_THE_DATA
    assert (
        all_muted_by("AzureVMSSDataStale", SET)
        & {name for name in WHY_DATA_IS_MISSING if "Poll" in name or "Stale" in name}
        == set()
    )


def test_a_set_that_is_down_mutes_its_instances() -> None:
    assert all_muted_by("AzureVMSSSetDown", SET) >= OF_ONE_INSTANCE
    assert not all_muted_by("AzureVMSSSetDown", SET) & {"AzureVMSSSetDown", "AzureVMSSDataStale"}


def test_nothing_mutes_itself_or_another_set() -> None:
    for rule in read(ALERTMANAGER)["inhibit_rules"]:
        for source in ALERTS:
            mine = {"alertname": source.name, **INSTANCE}
            if not matches(rule["source_matchers"], mine):
                continue
            assert not muted_by(mine, mine), source.name
            if source.name in FROM_THE_DATA | WHY_DATA_IS_MISSING:
                for target in ALERTS:
                    theirs = {"alertname": target.name, **INSTANCE, "scale_set": "other"}
                    assert not muted_by(mine, theirs), (source.name, target.name)


def test_every_alert_that_the_example_names_exists() -> None:
    """Each alternative of each matcher meets an alert."""
    names = {alert.name for alert in ALERTS}
    text = ALERTMANAGER.read_text(encoding="utf-8")
    for pattern in re.findall(r'alertname[!=]~?"([^"]+)"', text):
        inner = re.fullmatch(r"(.*?)\(([^)]*)\)(.*)", pattern)
        parts = (
            [f"{inner[1]}{part}{inner[3]}" for part in inner[2].split("|")]
            if inner
            else pattern.split("|")
        )
        for part in parts:
            assert any(re.fullmatch(part, name) for name in names), part
