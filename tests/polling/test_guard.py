"""Above `metrics.max_series` the largest sets' instance families give way, and it is said."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from exporter.azure.errors import NotFound
from exporter.metrics.mapper import Mapper
from exporter.model.scale_set import ScaleSetId, Target
from exporter.polling.poller import Poller
from exporter.polling.record import Record
from exporter.polling.retention import Retention
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION, instance
from support.clock import FakeClock
from support.source import FakeSource, page


class Guarded:
    """Three sets of different size below one limit."""

    def __init__(self, clock: FakeClock, source: FakeSource, max_series: int) -> None:
        self.clock = clock
        self.source = source
        self.poller = Poller(
            source=source,
            mapper=Mapper(),
            telemetry=Telemetry(version="1", python_version="3", process=False),
            clock=clock,
            retention=Retention(keep_for=600.0, deadline=180.0),
            max_series=max_series,
        )
        self.records = {
            name: self.poller.new_record(Target(ScaleSetId(SUBSCRIPTION, "rg", name), 60.0))
            for name in ("small", "middle", "large")
        }

    async def poll(self, **sizes: int) -> None:
        for name, size in sizes.items():
            machines = [instance({}, instance_id=str(number)) for number in range(size)]
            self.source.pages[name] = [page(*machines)]
            await self.poller.poll(self.records[name])

    def suppressed(self) -> list[str]:
        return [name for name, record in self.records.items() if record.poll.suppressed]

    def text(self, name: str) -> str:
        record: Record = self.records[name]
        return b"".join(
            block.text for lines in record.lines(self.clock.monotonic()) for block in lines.values()
        ).decode()


@pytest.fixture
def guarded(clock: FakeClock, source: FakeSource) -> Guarded:
    # An empty instance has 16 series, a set some 20 counts, and 10 beside them.
    return Guarded(clock, source, 1000)


async def test_below_the_limit_every_instance_is_served(guarded: Guarded) -> None:
    await guarded.poll(small=1, middle=5, large=20)
    assert guarded.suppressed() == []
    assert "azure_vmss_instance_series_suppressed{" in guarded.text("large")
    assert "azure_vmss_instance_info" in guarded.text("large")


async def test_above_it_only_the_largest_set_gives_way_and_keeps_its_counts(
    guarded: Guarded, logs: list[MutableMapping[str, Any]]
) -> None:
    await guarded.poll(small=1, middle=5, large=100)
    await guarded.poll(large=100)
    assert guarded.suppressed() == ["large"]
    text = guarded.text("large")
    identity = f'subscription_id="{SUBSCRIPTION}",resource_group="rg",scale_set="large"'
    assert f"azure_vmss_instance_series_suppressed{{{identity}}} 1\n" in text
    assert f"azure_vmss_instances{{{identity}}} 100\n" in text
    assert "instance_id=" not in text
    assert "instance_id=" in guarded.text("middle")
    said = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert said == ["instance series suppressed"]


async def test_the_instances_come_back_when_there_is_clearly_room(guarded: Guarded) -> None:
    await guarded.poll(small=1, middle=5, large=100)
    await guarded.poll(large=20)
    assert guarded.suppressed() == []
    assert "instance_id=" in guarded.text("large")


async def test_a_set_just_below_the_limit_does_not_flap(guarded: Guarded) -> None:
    def instances_for(series: int) -> int:
        return series // 16

    await guarded.poll(large=instances_for(1000))
    assert guarded.suppressed() == ["large"]
    await guarded.poll(large=instances_for(930))
    assert guarded.suppressed() == ["large"]
    await guarded.poll(large=instances_for(700))
    assert guarded.suppressed() == []


async def test_zero_is_no_limit(clock: FakeClock, source: FakeSource) -> None:
    unbounded = Guarded(clock, source, 0)
    await unbounded.poll(large=300)
    assert unbounded.suppressed() == []


async def test_a_set_that_is_gone_makes_room(guarded: Guarded) -> None:
    await guarded.poll(middle=30, large=40)
    assert guarded.suppressed() == ["large"]
    guarded.source.pages["middle"] = [NotFound("gone", missing="scale set", removes=True)]
    for _ in range(3):
        await guarded.poller.poll(guarded.records["middle"])
        await guarded.clock.advance(150)
    assert guarded.suppressed() == []
