"""The rules of the end-to-end test are the committed ones, but for one factor."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from support.quick_rules import AGES, quick_alertmanager, quick_rules
from support.rules import ALERTMANAGER, RULE_FILES, read, seconds

FACTOR = 60.0
DURATIONS = ("for", "keep_firing_for")


def rules(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in document["groups"] for rule in group["rules"]]


def ranges(expression: str) -> list[float]:
    """What stands in brackets, in seconds."""
    return [seconds(found) for found in re.findall(r"\[(\w+)\]", expression)]


def without_ranges(expression: str) -> str:
    """The expression as the parser of PromQL writes it, every range the same."""
    return str(promql_parser.parse(re.sub(r"\[\w+\]", "[1m]", expression)))


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.stem)
def test_only_durations_differ_and_all_by_the_factor(path: Path) -> None:
    committed, quick = rules(read(path)), rules(quick_rules(read(path), FACTOR))
    assert len(committed) == len(quick)
    for was, now in zip(committed, quick, strict=True):
        assert was.keys() == now.keys()
        for key in was.keys() - {"expr"}:
            if key in DURATIONS:
                assert seconds(was[key]) == pytest.approx(seconds(now[key]) * FACTOR), was
            else:
                assert was[key] == now[key]
        assert ranges(was["expr"]) == pytest.approx([FACTOR * each for each in ranges(now["expr"])])
        if was.get("record") in AGES:
            age, shorter = (float(rule["expr"][len("vector(") : -1]) for rule in (was, now))
            assert age == pytest.approx(FACTOR * shorter)
        else:
            assert without_ranges(was["expr"]) == without_ranges(now["expr"])


def test_every_threshold_in_seconds_is_an_age_but_for_that_of_the_event_loop() -> None:
    """No expression but a threshold holds a number that is a time."""
    committed = [rule for path in RULE_FILES for rule in rules(read(path))]
    in_seconds = {
        rule["record"] for rule in committed if "_seconds:threshold" in rule.get("record", "")
    }
    assert in_seconds == {*AGES, "azure_vmss:event_loop_lag_seconds:threshold"}
    numbers = {
        number
        for rule in committed
        if ":threshold" not in rule.get("record", "")
        for number in re.findall(r"(?<![\w\"\[.])\d+(?:\.\d+)?(?![\w\]])", rule["expr"])
    }
    assert {float(number) for number in numbers} <= {0.0, 1.0, 2.0}


def test_alertmanager_waits_less_by_the_factor_and_tells_the_test() -> None:
    committed = read(ALERTMANAGER)
    quick = quick_alertmanager(committed, FACTOR, "http://127.0.0.1:1")
    assert quick["inhibit_rules"] == committed["inhibit_rules"]
    (was,), (now,) = committed["route"]["routes"], quick["route"]["routes"]
    for wait in ("group_wait", "group_interval", "repeat_interval"):
        assert seconds(was.pop(wait)) == pytest.approx(FACTOR * seconds(now.pop(wait)))
    hours = [
        [seconds(route.pop("repeat_interval", "0s")) for route in routes["routes"]]
        for routes in (was, now)
    ]
    assert hours[0] == pytest.approx([FACTOR * each for each in hours[1]])
    assert was == now
    told = [hook["url"] for one in quick["receivers"] for hook in one.get("webhook_configs", ())]
    assert told == ["http://127.0.0.1:1/team", "http://127.0.0.1:1/on-call"]
