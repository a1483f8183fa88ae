"""How long data are kept, and when the next look for old ones is due."""

from __future__ import annotations

import pytest

from exporter.polling.retention import Retention


@pytest.mark.parametrize(
    ("interval", "seconds"), [(60.0, 600.0), (210.0, 600.0), (211.0, 602.0), (3600.0, 7380.0)]
)
def test_two_missed_polls_never_empty_the_page(interval: float, seconds: float) -> None:
    assert Retention(keep_for=600.0, deadline=180.0).seconds(interval) == seconds


@pytest.mark.parametrize(("left", "seconds"), [(-1.0, 0.05), (0.01, 0.05), (2.5, 2.5), (99.0, 5.0)])
def test_the_next_look_is_due_when_the_first_data_are_too_old_but_soon_in_any_case(
    left: float, seconds: float
) -> None:
    assert Retention(keep_for=600.0, deadline=180.0).next_check(left) == seconds


def test_data_that_come_meanwhile_and_are_kept_for_a_shorter_time_are_not_missed() -> None:
    assert Retention(keep_for=1.0, deadline=2.0).next_check(60.0) == 2.0
