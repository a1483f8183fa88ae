"""`metrics.max_series` is a limit: the largest sets give way, and it is said."""

from __future__ import annotations

import asyncio
import re
from collections.abc import MutableMapping
from math import inf
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.azure.errors import NotFound, TimedOut
from exporter.model.instance_view import Instance
from exporter.model.scale_set import ScaleSetModel
from exporter.polling.series_limit import Size, Suppressed, plan
from exporter.polling.target_state import TargetState
from support.answers import SUBSCRIPTION, instance
from support.clock import FakeClock
from support.examples import examples
from support.polling import Polling
from support.source import FakeSource, page


class Limited:
    """Three sets of different size below one limit."""

    def __init__(self, clock: FakeClock, source: FakeSource, max_series: int) -> None:
        self.clock = clock
        self.source = source
        self.polling = Polling(source, clock, max_series=max_series)
        self.poller = self.polling.poller
        self.states = {name: self.polling.add(name) for name in ("small", "middle", "large")}

    async def poll(self, **sizes: int) -> None:
        for name, size in sizes.items():
            machines = [instance({}, instance_id=str(number)) for number in range(size)]
            self.source.pages[name] = [page(*machines)]
            await self.poller.poll(self.states[name])

    def series(self) -> int:
        """The series about Azure on the page."""
        return self.polling.cache.page().series

    def suppressed(self) -> list[str]:
        return [
            name
            for name, state in self.states.items()
            if self.polling.publisher.is_suppressed(state)
        ]

    def page(self) -> str:
        return self.polling.cache.page().text.decode()

    def text(self, name: str) -> str:
        state: TargetState = self.states[name]
        return b"".join(
            block.text for lines in self.polling.publisher.lines(state) for block in lines.values()
        ).decode()


@pytest.fixture
def limited(clock: FakeClock, source: FakeSource) -> Limited:
    # An empty instance has 16 series, a set some 20 counts, and 10 beside them.
    return Limited(clock, source, 1000)


async def test_below_the_limit_every_instance_is_served(limited: Limited) -> None:
    await limited.poll(small=1, middle=5, large=20)
    assert limited.suppressed() == []
    assert "azure_vmss_instance_series_suppressed{" in limited.text("large")
    assert "azure_vmss_instance_info" in limited.text("large")


async def test_above_it_only_the_largest_set_gives_way_and_keeps_its_counts(
    limited: Limited, logs: list[MutableMapping[str, Any]]
) -> None:
    await limited.poll(small=1, middle=5, large=100)
    await limited.poll(large=100)
    assert limited.suppressed() == ["large"]
    text = limited.text("large")
    identity = f'subscription_id="{SUBSCRIPTION}",resource_group="rg-web",scale_set="large"'
    assert f"azure_vmss_instance_series_suppressed{{{identity}}} 1\n" in text
    assert f"azure_vmss_instances{{{identity}}} 100\n" in text
    assert "instance_id=" not in text
    assert limited.series() <= 1000
    assert "instance_id=" in limited.text("middle")
    said = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert said == ["instance series suppressed"]


async def test_the_instances_come_back_when_there_is_clearly_room(limited: Limited) -> None:
    await limited.poll(small=1, middle=5, large=100)
    await limited.poll(large=20)
    assert limited.suppressed() == []
    assert "instance_id=" in limited.text("large")


async def test_a_set_just_below_the_limit_does_not_flap(limited: Limited) -> None:
    def instances_for(series: int) -> int:
        return series // 16

    await limited.poll(large=instances_for(1000))
    assert limited.suppressed() == ["large"]
    await limited.poll(large=instances_for(930))
    assert limited.suppressed() == ["large"]
    await limited.poll(large=instances_for(700))
    assert limited.suppressed() == []


async def test_zero_is_no_limit(clock: FakeClock, source: FakeSource) -> None:
    unbounded = Limited(clock, source, 0)
    await unbounded.poll(large=300)
    assert unbounded.suppressed() == []


async def test_a_set_that_is_gone_makes_room(limited: Limited) -> None:
    await limited.poll(middle=30, large=40)
    assert limited.suppressed() == ["large"]
    limited.source.pages["middle"] = [NotFound("gone", missing="scale set", removes=True)]
    for _ in range(3):
        await limited.poller.poll(limited.states["middle"])
        await limited.clock.advance(150)
    assert limited.suppressed() == []


def odd(extensions: int) -> Instance:
    """An instance with very many extensions."""
    found = [
        {"name": f"x{number}", "statuses": [{"code": "ProvisioningState/ok", "level": "Info"}]}
        for number in range(extensions)
    ]
    return instance({"extensions": found})


async def test_one_odd_set_gives_way_alone(clock: FakeClock, source: FakeSource) -> None:
    limited = Limited(clock, source, 500)
    await limited.poll(small=2, middle=2)
    source.pages["large"] = [page(odd(8000))]
    await limited.poller.poll(limited.states["large"])
    assert limited.suppressed() == ["large"]
    for name in ("small", "middle"):
        assert "instance_id=" in limited.text(name)
    assert limited.series() <= 500


async def test_where_the_counts_alone_are_too_many_the_odd_set_gives_up_its_own(
    clock: FakeClock, source: FakeSource, logs: list[MutableMapping[str, Any]]
) -> None:
    limited = Limited(clock, source, 500)
    await limited.poll(small=2, middle=2)
    agents = [
        instance({"vmAgent": {"vmAgentVersion": str(number)}}, instance_id=str(number))
        for number in range(600)
    ]
    source.pages["large"] = [page(*agents)]
    await limited.poller.poll(limited.states["large"])
    assert limited.series() <= 500
    text = limited.text("large")
    assert "azure_vmss_instances_by_vm_agent_version" not in text
    assert "azure_vmss_instances_by_power_state" in text
    for name in ("small", "middle"):
        assert "instance_id=" in limited.text(name)
        assert not limited.polling.publisher.is_suppressed(limited.states[name])
    said = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert said == ["instance series and counts by versions and names suppressed"]
    await limited.poll(large=2)
    assert limited.suppressed() == []
    assert "instance_id=" in limited.text("large")


async def test_below_the_smallest_page_only_the_polls_are_reported_and_it_is_reported_once(
    clock: FakeClock, source: FakeSource, logs: list[MutableMapping[str, Any]]
) -> None:
    limited = Limited(clock, source, 3)
    for _ in range(3):
        await limited.poll(small=1, middle=5, large=20)
    shown = set(re.findall(r"^(azure_vmss_\w+)", limited.page(), re.MULTILINE))
    assert shown == {
        "azure_vmss_up",
        "azure_vmss_instance_series_suppressed",
        "azure_vmss_last_success_timestamp_seconds",
        "azure_vmss_poll_interval_seconds",
        "azure_vmss_poll_duration_seconds",
    }
    said = [entry["event"] for entry in logs if entry["event"].startswith("more series than")]
    assert len(said) == 1


async def test_a_set_that_was_never_polled_well_has_nothing_to_give_up(
    clock: FakeClock, source: FakeSource
) -> None:
    limited = Limited(clock, source, 3)
    for name in ("small", "large"):
        source.pages[name] = [TimedOut("late")]
        await limited.poller.poll(limited.states[name])
    await limited.poll(middle=5)
    assert limited.suppressed() == ["middle"]


async def test_facts_give_way_before_anything_else_was_polled(
    clock: FakeClock, source: FakeSource
) -> None:
    limited = Limited(clock, source, 10)
    source.models["small"] = ScaleSetModel(location="westeurope", capacity=1)
    await limited.poller.poll_model(limited.states["small"])
    assert limited.suppressed() == ["small"]
    assert limited.series() == 10


async def test_a_set_without_any_series_of_instances_is_never_reported_to_give_way(
    limited: Limited,
) -> None:
    await limited.poll(small=0, middle=0, large=100)
    assert limited.suppressed() == ["large"]


@pytest.mark.parametrize("limit", range(40, 120, 3))
async def test_counters_and_facts_are_counted_too(
    clock: FakeClock, source: FakeSource, limit: int
) -> None:
    limited = Limited(clock, source, limit)
    source.models["small"] = ScaleSetModel(location="westeurope", capacity=1)
    failed = {"statuses": [{"code": "ProvisioningState/failed/X"}]}
    for step in range(4):
        source.pages["small"] = [page(instance(failed if step % 2 else {}))]
        await limited.poller.poll(limited.states["small"])
        assert limited.series() <= limit
        await limited.poller.poll_model(limited.states["small"])
        assert limited.series() <= limit
    source.pages["small"] = [TimedOut("late")]
    await limited.poller.poll(limited.states["small"])
    assert limited.series() <= limit
    await clock.advance(800)
    await limited.poller.expire()
    assert limited.series() <= limit


class Turn(NamedTuple):
    """What a set answers next."""

    name: str
    instances: int
    versions: int
    extensions: int
    failed: int


cooperative = st.lists(
    st.builds(
        Turn,
        st.sampled_from(["small", "middle", "large"]),
        st.integers(0, 12),
        st.integers(0, 12),
        st.integers(0, 70),
        st.integers(0, 12),
    ),
    max_size=6,
)


def answer(turn: Turn) -> list[Instance]:
    found = []
    for number in range(turn.instances):
        view: dict[str, Any] = {"statuses": [{"code": "ProvisioningState/succeeded"}]}
        if number < turn.versions:
            view["vmAgent"] = {"vmAgentVersion": str(number)}
        if number < turn.failed:
            view["statuses"] = [{"code": f"ProvisioningState/failed/{number}"}]
        if not number:
            view["extensions"] = [
                {"name": str(n), "statuses": [{"code": "x/y", "level": "Info"}]}
                for n in range(turn.extensions)
            ]
        found.append(instance(view, instance_id=str(number)))
    return found


@examples(100)
@given(limit=st.integers(1, 1200), steps=cooperative)
def test_the_page_never_has_more_series_or_tells_of_the_polls_only(
    limit: int, steps: list[Turn]
) -> None:
    asyncio.run(all_pages_are_within(limit, steps))


async def all_pages_are_within(limit: int, steps: list[Turn]) -> None:
    clock = FakeClock()
    source = FakeSource(clock)
    limited = Limited(clock, source, limit)
    for step in steps:
        source.pages[step.name] = [page(*answer(step))]
        await limited.poller.poll_model(limited.states[step.name])
        await limited.poller.poll(limited.states[step.name])
        polls = sum(
            block.lines
            for state in limited.states.values()
            for block in next(limited.polling.publisher.lines(state)).values()
        )
        assert limited.series() <= max(limit, polls)
        assert limited.series() == limited.page().count("\n") - limited.page().count("# ")
        await clock.advance(130)
        await limited.poller.expire()


sizes = st.builds(
    tuple, st.lists(st.tuples(*[st.integers(0, 300)] * 3, st.sampled_from(Suppressed)), max_size=8)
)


@examples(300)
@given(sizes, st.integers(0, 50), st.integers(1, 1000))
def test_as_few_sets_as_possible_give_way_and_the_largest_first(
    found: tuple[tuple[int, int, int, Suppressed], ...], polls: int, limit: int
) -> None:
    all_sizes = [
        Size(("s", "g", str(number)), level, instances, open_counts, others)
        for number, (instances, open_counts, others, level) in enumerate(found)
    ]
    levels = plan(all_sizes, polls, limit)

    def left(of: dict[Size, Suppressed]) -> int:
        planned = [size._replace(level=of.get(size, Suppressed.NOTHING)) for size in all_sizes]
        return polls + sum(s.instances + s.open_counts + s.others - s.hidden for s in planned)

    assert left(levels) <= max(limit, polls)
    for size, level in levels.items():
        parts = (0, size.instances, size.open_counts, size.others)
        assert parts[level], "none gives way for nothing"
    if not any(level > Suppressed.INSTANCES for level in levels.values()):
        smallest = min((size.instances for size in levels), default=inf)
        for size in all_sizes:
            assert size in levels or size.instances <= smallest, "a larger one stays"
        for size in levels:
            fewer = {key: value for key, value in levels.items() if key != size}
            if size.instances == smallest and size.level < Suppressed.INSTANCES:
                assert left(fewer) > limit, "it need not have given way"
