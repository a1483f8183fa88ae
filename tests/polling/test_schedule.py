"""When a scale set is due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.model.scale_set import ScaleSetId
from exporter.polling.schedule import first_due, next_due, phase_of

NOW = 1_800_000_000.0


def test_the_phase_is_the_same_in_every_letter_case() -> None:
    assert phase_of(ScaleSetId("S", "RG", "Web")) == phase_of(ScaleSetId("s", "rg", "web"))


def test_phases_spread_over_the_interval() -> None:
    phases = sorted(phase_of(ScaleSetId("s", "rg", f"set-{number}")) for number in range(1000))
    tenths = [sum(1 for phase in phases if phase // 0.1 == tenth) for tenth in range(10)]
    assert min(tenths) > 60


def test_a_small_fleet_is_polled_at_once_and_a_large_one_over_an_interval() -> None:
    assert first_due(NOW, phase=0.99, interval=60.0, targets=5) - NOW < 0.5
    due = next_due(NOW, phase=0.5, interval=60.0)
    assert first_due(NOW, phase=0.5, interval=60.0, targets=2500) == due


def test_first_polls_are_spread_by_their_phases() -> None:
    due = [first_due(NOW, phase=phase, interval=60.0, targets=100) for phase in (0.0, 0.25, 0.9)]
    assert [round(at - NOW, 3) for at in due] == [0.0, 2.5, 9.0]


@given(
    after=st.floats(1e9, 3e9),
    phase=st.floats(0, 1, exclude_max=True),
    interval=st.floats(0.1, 3600),
)
def test_the_next_beat_is_later_and_at_most_one_interval_away(
    after: float, phase: float, interval: float
) -> None:
    due = next_due(after, phase=phase, interval=interval)
    assert after < due <= after + interval * 1.001 + 1e-5


def test_beats_do_not_drift() -> None:
    due = next_due(NOW, phase=0.3, interval=30.0)
    for _ in range(1000):
        due = next_due(due, phase=0.3, interval=30.0)
    assert abs((due - 0.3 * 30.0) % 30.0 - 0) < 1e-6


@given(phase=st.floats(0, 1, exclude_max=True), targets=st.integers(1, 599))
def test_first_polls_are_a_tenth_of_a_second_apart_on_average_not_all_at_once(
    phase: float, targets: int
) -> None:
    first = first_due(NOW, phase=phase, interval=60.0, targets=targets) - NOW
    assert abs(first - phase * targets / 10) < 1e-5


def test_a_beat_is_where_the_time_is_the_phase_modulo_the_interval() -> None:
    assert next_due(1000.0, phase=0.25, interval=60.0) == 1035.0
    assert next_due(1034.9, phase=0.25, interval=60.0) == 1035.0
    assert next_due(1035.0, phase=0.25, interval=60.0) == 1095.0


def test_the_phase_does_not_change_from_release_to_release() -> None:
    assert round(phase_of(ScaleSetId("s", "rg", "web")), 6) == 0.229792


def test_a_beat_that_rounding_gives_back_does_not_come_twice() -> None:
    due, phase = 3103271797.3816004, 0.24273997354306764
    assert 0 < next_due(due, phase=phase, interval=47.3) - due < 47.4
