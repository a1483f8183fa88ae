"""What mutes other alerts outlasts them, or they would be told when all is over.

An exporter that was down is no such case: with it the data went, and an alert that fires when it
is back was told before, or is true.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from support.rules import ALERTMANAGER, ALERTS, Alert, read

STALE_AFTER = 11 * 60
"""Seconds until old data are told of, polled once a minute. What has fired until then was told."""

RULES = [
    rule
    for rule in read(ALERTMANAGER)["inhibit_rules"]
    if "AzureVMSSExporterDown" not in str(rule["source_matchers"])
]
BY_NAME = {alert.name: alert for alert in ALERTS}


def source(rule: dict[str, Any]) -> Alert:
    (matcher,) = rule["source_matchers"]
    return BY_NAME[matcher.removeprefix("alertname=").strip('"')]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: source(rule).name)
def test_what_mutes_outlasts_what_it_mutes(rule: dict[str, Any]) -> None:
    mutes = source(rule)
    muted = [alert for alert in ALERTS if _is_meant(rule, alert) and alert.severity != "info"]
    assert muted
    for alert in muted:
        if mutes.name == "AzureVMSSDataStale" and alert.waits < STALE_AFTER:
            continue
        assert alert.keeps_firing < mutes.keeps_firing, alert.name


def test_that_instances_are_not_shown_is_muted_by_no_set() -> None:
    """It is not about an instance, though its name begins so."""
    alert = BY_NAME["AzureVMSSInstanceSeriesSuppressed"]
    assert not [rule for rule in RULES if _is_meant(rule, alert)]


def _is_meant(rule: dict[str, Any], alert: Alert) -> bool:
    for matcher in rule["target_matchers"]:
        found = re.fullmatch(r'alertname(=~|!=)"(.*)"', matcher)
        assert found, matcher
        operator, pattern = found.groups()
        if bool(re.fullmatch(pattern, alert.name)) == (operator == "!="):
            return False
    return True
