"""What the alerts' texts say of times is what the rules do."""

from __future__ import annotations

import re

import pytest

from support.rules import ALERTS, Alert

MINUTES = {"an hour": 60, "a day": 24 * 60, "half an hour": 30}


def minutes(words: str) -> int:
    return MINUTES.get(words) or int(words.split(maxsplit=1)[0])


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_text_tells_how_long_the_alert_waits(alert: Alert) -> None:
    told = re.findall(r"for\s+more\s+than\s+(an hour|a day|\d+\s+minutes)", alert.text)
    told += re.findall(r"(half an hour|for an hour)$", alert.annotations["summary"].strip())
    assert {minutes(words.removeprefix("for ")) for words in told} <= {alert.waits // 60}


def test_most_texts_tell_it() -> None:
    assert sum("more than" in alert.text for alert in ALERTS) > len(ALERTS) / 2
