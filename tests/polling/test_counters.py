"""When the counters are served, and when a new failure code counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.azure.errors import NotFound, TimedOut
from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper
from exporter.model.instance_view import Instance
from exporter.persistence.directory import StateDirectory
from exporter.persistence.store import StateStore
from exporter.polling.counters import NEW_CODE_WAITS
from exporter.polling.saved import Saved
from exporter.polling.target_state import TargetState
from exporter.telemetry import Telemetry
from support.answers import instance, samples
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource, page

CREATIONS = "azure_vmss_instance_creations_total"
DELETIONS = "azure_vmss_instance_deletions_total"
FAILURES = "azure_vmss_provisioning_failures_total"


class Life:
    """One life of an exporter with one scale set."""

    def __init__(
        self,
        clock: FakeClock,
        *,
        mapper: Mapper | None = None,
        folder: Path | None = None,
        carried: TargetState | None = None,
    ) -> None:
        self.clock = clock
        self.source = FakeSource(clock)
        telemetry = Telemetry(version="1", python_version="3", process=False)
        self.store = (
            StateStore(
                StateDirectory(folder), azures={"": "x"}, form="f", telemetry=telemetry, clock=clock
            )
            if folder
            else None
        )
        self.polling = Polling(
            self.source, clock, telemetry=telemetry, mapper=mapper, store=self.store
        )
        self.poller = self.polling.poller
        if carried:
            self.state = carried
            self.polling.adopt(carried)
        else:
            self.state = self.polling.add()

    async def poll(self, *instances: Instance, lost: int = 0) -> None:
        self.source.pages["web"] = [page(*instances, lost=lost)]
        await self.poller.poll(self.state)

    async def fail(self, error: Exception) -> None:
        self.source.pages["web"] = [error]
        await self.poller.poll(self.state)

    async def scrape(self, *names: str) -> dict[tuple[str, str], float]:
        """What a reader gets of the counters, by name and own label."""
        await self.poller.expire()
        served = self.polling.cache.page(names)
        return {
            (name, dict(labels).get("to") or dict(labels).get("code") or ""): value
            for (name, labels), value in samples(served.text.decode()).items()
            if name.endswith("_total")
        }

    async def failures(self, *names: str) -> dict[str, float]:
        found = await self.scrape(*names)
        return {code: value for (name, code), value in found.items() if name == FAILURES}


def vm(instance_id: str = "0", code: str = "succeeded") -> Instance:
    return instance({"statuses": [{"code": f"ProvisioningState/{code}"}]}, instance_id=instance_id)


@pytest.fixture
def life(clock: FakeClock) -> Life:
    return Life(clock)


async def test_before_the_first_success_there_is_no_counter_and_after_it_all_are_0(
    life: Life,
) -> None:
    await life.fail(TimedOut("late"))
    assert await life.scrape() == {}
    await life.poll(vm())
    found = await life.scrape()
    assert len(found) == 2 + 8 + 1
    assert set(found.values()) == {0}


async def test_a_failed_poll_is_no_deletion_and_the_outage_counts_once(life: Life) -> None:
    await life.poll(vm("0"), vm("1"))
    for _ in range(3):
        await life.fail(TimedOut("late"))
        assert (await life.scrape())[DELETIONS, ""] == 0
    await life.poll(vm("1"), vm("2"))
    found = await life.scrape()
    assert (found[CREATIONS, ""], found[DELETIONS, ""]) == (1, 1)


async def test_items_that_could_not_be_read_are_no_deletions(life: Life) -> None:
    await life.poll(vm("0"), vm("1"))
    await life.poll(vm("0"), lost=1)
    assert (await life.scrape())[DELETIONS, ""] == 0


async def test_counters_stay_when_the_data_are_too_old_and_when_the_set_is_gone(
    life: Life, clock: FakeClock
) -> None:
    await life.poll(vm("0"), vm("1"))
    await life.poll(vm("0"))
    for _ in range(3):
        await life.fail(NotFound("gone", missing="scale set", removes=True))
        await clock.advance(150)
    assert life.state.data.snapshot is None
    await clock.advance(3600)
    assert (await life.scrape())[DELETIONS, ""] == 1
    await life.poll(vm("0"))
    found = await life.scrape()
    assert (found[CREATIONS, ""], found[DELETIONS, ""]) == (0, 1)


async def test_two_prometheis_both_read_a_new_code_as_0_whoever_else_reads(
    life: Life, clock: FakeClock
) -> None:
    await life.poll(vm())
    await life.poll(vm(code="failed/X"))
    for reader in ("one", "a person", "two", "one again"):
        assert await life.failures() == {"unspecified": 0, "x": 0}, reader
        await clock.advance((NEW_CODE_WAITS - 1) / 4)
    await clock.advance(1)
    assert await life.failures() == {"unspecified": 0, "x": 1}


async def test_a_new_code_counts_after_two_minutes_to_the_second_each_by_itself(
    life: Life, clock: FakeClock
) -> None:
    await life.poll(vm("0"), vm("1"))
    await life.poll(vm("0", "failed/X"), vm("1"))
    await clock.advance(60)
    await life.poll(vm("0", "failed/X"), vm("1", "failed/Y"))
    await clock.advance(NEW_CODE_WAITS - 61)
    assert await life.failures(FAILURES) == {"unspecified": 0, "x": 0, "y": 0}
    await clock.advance(1)
    assert await life.failures(FAILURES) == {"unspecified": 0, "x": 1, "y": 0}
    await clock.advance(60)
    assert await life.failures(FAILURES) == {"unspecified": 0, "x": 1, "y": 1}


async def test_denied_counters_are_not_counted_and_need_no_memory(clock: FakeClock) -> None:
    denying = FamilyFilter(deny=("*_total",))
    life = Life(clock, mapper=Mapper(families=denying))
    await life.poll(vm())
    await life.poll()
    assert await life.scrape() == {}
    assert life.state.data.memory.transitions is None
    some = Life(clock, mapper=Mapper(families=FamilyFilter(deny=(FAILURES, CREATIONS))))
    await some.poll(vm())
    assert {name for name, _ in await some.scrape()} == {
        DELETIONS,
        "azure_vmss_power_state_transitions_total",
    }


async def test_a_reload_goes_on_counting_and_one_that_denies_forgets(
    life: Life, clock: FakeClock
) -> None:
    await life.poll(vm("0"))
    await life.poll(vm("0"), vm("1"))
    await life.poll(vm("0", "failed/X"), vm("1"))
    await clock.advance(NEW_CODE_WAITS - 1)
    after = Life(clock, carried=life.state)
    assert (await after.scrape())[CREATIONS, ""] == 1
    assert (await after.scrape())[FAILURES, "x"] == 0
    await clock.advance(1)
    assert (await after.scrape())[FAILURES, "x"] == 1, "a reload does not make it wait longer"
    denying = Mapper(families=FamilyFilter(deny=("*_total",)))
    denied = Life(clock, mapper=denying, carried=life.state)
    assert denied.state.data.memory.transitions is None
    assert await denied.scrape() == {}


# With polling.state_dir


async def restarted(life: Life, folder: Path) -> Life:
    """The next life, with what the one before left."""
    assert life.store
    async with life.store.writing():
        pass
    following = Life(life.clock, folder=folder)
    assert following.store
    found = following.store.saved([following.state])
    await following.poller.restore(found)
    return following


async def test_counters_go_on_after_a_restart_and_the_gap_counts_once(
    clock: FakeClock, tmp_path: Path
) -> None:
    first = Life(clock, folder=tmp_path)
    await first.poll(vm("0"))
    await first.poll(vm("0"), vm("1"))
    second = await restarted(first, tmp_path)
    assert await second.scrape() == await first.scrape(), "before any poll"
    await second.fail(TimedOut("late"))
    await second.poll(vm("1"), vm("2"))
    await second.poll(vm("1"), vm("2"))
    found = await second.scrape()
    assert (found[CREATIONS, ""], found[DELETIONS, ""]) == (2, 1)


async def test_without_a_state_the_first_poll_after_a_restart_counts_nothing(
    clock: FakeClock,
) -> None:
    await Life(clock).poll(vm("0"))
    second = Life(clock)
    await second.poll(vm("1"))
    assert set((await second.scrape()).values()) == {0}


async def test_a_code_that_waits_goes_on_waiting_after_a_restart(
    clock: FakeClock, tmp_path: Path
) -> None:
    first = Life(clock, folder=tmp_path)
    await first.poll(vm())
    await first.poll(vm(code="failed/X"))
    await clock.advance(NEW_CODE_WAITS - 1)
    second = await restarted(first, tmp_path)
    await clock.advance(NEW_CODE_WAITS - 1)
    assert await second.failures() == {"unspecified": 0, "x": 0}
    await clock.advance(1)
    assert await second.failures() == {"unspecified": 0, "x": 1}


async def test_a_code_that_has_counted_does_not_count_again_after_a_restart(
    clock: FakeClock, tmp_path: Path
) -> None:
    first = Life(clock, folder=tmp_path)
    await first.poll(vm())
    await first.poll(vm(code="failed/X"))
    assert first.store
    async with first.store.writing():
        await clock.settle()
    await clock.advance(NEW_CODE_WAITS)
    await first.failures()
    second = await restarted(first, tmp_path)
    assert await second.failures() == {"unspecified": 0, "x": 1}
    await second.poll(vm(code="failed/X"))
    assert await second.failures() == {"unspecified": 0, "x": 1}


def test_a_record_without_counters_saves_none(life: Life) -> None:
    state: TargetState = life.state
    assert Saved.of(state).transitions == b""
