"""The soak in small: some hours of it, and proof that it finds what it looks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from exporter.azure.paging import Paging
from exporter.metrics.mapper import Mapping
from exporter.model.instance_view import Instance
from exporter.polling.poller import Poller
from exporter.polling.target_state import TargetState
from soak import timelapse
from soak.growth import Growth
from soak.soak import HOUR, Outcome, Plan, soak

PLAN = Plan(days=0.1, interval=240.0, seed=9, warm_up=2 * HOUR, sample_every=1800.0)


def run(plan: Plan = PLAN) -> Outcome:
    return timelapse.run(soak(plan))


def test_some_hours_of_troubles_lose_nothing_and_show_nothing_false() -> None:
    outcome = run()
    assert outcome.breaches == []
    figures = dict(outcome.figures)
    assert int(figures["polls"].replace(",", "")) > 200
    assert figures["failed polls"]
    assert int(figures["instances compared"].replace(",", "")) > 5_000


def test_the_same_seed_is_the_same_soak() -> None:
    short = replace(PLAN, days=0.03)
    told = [dict(run(short).figures) for _ in range(2)]
    names = ("polls", "failed polls", "troubles", "instances compared")
    first, second = ([found[name] for name in names] for found in told)
    assert first == second


def test_a_failed_poll_that_empties_a_set_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Poller._failed

    def empty(self: Poller, state: TargetState, *others: Any) -> None:
        state.data.snapshot = None
        keep(self, state, *others)

    monkeypatch.setattr(Poller, "_failed", empty)
    breaches = run(replace(PLAN, days=0.04)).breaches
    assert any(breach.startswith("dropped: ") for breach in breaches)


def test_an_instance_that_is_left_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    add = Mapping.add

    def lose(self: Mapping, instances: Iterable[Instance], *others: Any, **more: Any) -> None:
        add(self, list(instances)[1:], *others, **more)

    monkeypatch.setattr(Mapping, "add", lose)
    outcome = run(replace(PLAN, days=0.01))
    assert any(breach.startswith("served: ") for breach in outcome.breaches)


def test_a_page_that_nobody_asks_for_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Paging, "goes_on", lambda *_: False)
    breaches = run(replace(PLAN, days=0.01)).breaches
    assert any(breach.startswith("served: ") and "missing" in breach for breach in breaches)


def test_a_task_that_each_poll_leaves_behind_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Poller._succeeded

    def leave(self: Poller, *others: Any) -> None:
        asyncio.create_task(asyncio.sleep(1e9), name="forgotten")  # noqa: RUF006 - that is it
        keep(self, *others)

    monkeypatch.setattr(Poller, "_succeeded", leave)
    breaches = run(replace(PLAN, days=0.02, warm_up=0.0, sample_every=300.0)).breaches
    assert any(breach.startswith("growth: tasks grew") for breach in breaches)
    assert any("left behind" in breach and "forgotten" in breach for breach in breaches)


def test_growth_is_distinguished_from_noise() -> None:
    growth = Growth({"memory": 5.0, "noise": 5.0})
    for hour in range(48):
        growth.add(hour * HOUR, {"memory": 100.0 + hour, "noise": 100.0 + hour % 2})
    assert growth.grown("memory") == pytest.approx(47.0)
    assert [breach.split(" ")[0] for breach in growth.breaches()] == ["memory"]
