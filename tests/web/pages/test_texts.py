"""Times, ages and names as people read them."""

from __future__ import annotations

import pytest

from exporter.web.pages.texts import LONGEST_LABEL, Since, duration, label, when


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (-5.0, "0 s"),
        (119.9, "119 s"),
        (120.0, "2 min"),
        (7199.0, "119 min"),
        (7200.0, "2 h"),
        (172_799.0, "47 h"),
        (172_800.0, "2 days"),
    ],
)
def test_a_duration_is_told_in_the_largest_unit_that_says_enough(
    seconds: float | None, text: str
) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("timestamp", [None, 1e20, float("nan"), -1e20])
def test_a_time_that_is_none_is_not_told(timestamp: float | None) -> None:
    assert when(timestamp) == ""
    assert Since.of(timestamp, 0.0) is None


def test_a_time_of_azures_is_told_with_its_age() -> None:
    since = Since.of_azure("1970-01-01T02:00:00+01:00", 7200.0)
    assert since == Since("1970-01-01T01:00:00Z", "1970-01-01 01:00:00 UTC", "60 min")
    assert Since.of_azure("0001-01-01T00:00:00Z", 7200.0) is None
    assert Since.of_azure("soon", 7200.0) is None


def test_a_label_is_one_short_line() -> None:
    assert label(None) == ""
    assert label(" a\n b\tc ") == "a b c"
    assert label("x" * 500) == "x" * (LONGEST_LABEL - 1) + "…"
