"""The fleet lives: repeatably, at the described pace, through everything that can happen."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import asdict
from typing import Any

import pydantic
import pytest

from exporter.simulator import Fleet, stories
from exporter.simulator.fleet import CATCH_UP_LIMIT
from simulator.asking import Ask, list_path
from support.clock import FakeClock

START = 1_800_000_000.0
LIVELY = """
seed: 11
scale_sets:
  - {name: web, size: 40, pace: 20, extensions: [HealthExtension, CustomScript]}
  - {name: spot, size: 20, pace: 20, priority: spot, eviction_policy: Delete}
  - {name: flex, size: 5, pace: 20, orchestration: flexible}
"""


def state(fleet: Fleet) -> dict[str, Any]:
    return {
        scale_set.identity.name: {
            name: asdict(instance) for name, instance in scale_set.instances.items()
        }
        for scale_set in fleet.scale_sets
    }


def lived(text: str, *moments: float) -> Fleet:
    fleet = Fleet.from_yaml(text)
    fleet.advance(START)
    for moment in moments:
        fleet.advance(START + moment)
    return fleet


def powers(fleet: Fleet) -> Counter[str | None]:
    return Counter(one.power for each in fleet.scale_sets for one in each.instances.values())


def test_the_state_does_not_depend_on_when_it_was_looked_at() -> None:
    steps = sorted(random.Random(1).uniform(0, 1800) for _ in range(300))
    assert state(lived(LIVELY, *steps, 1800)) == state(lived(LIVELY, 1800))


def test_another_seed_is_another_life() -> None:
    assert state(lived(LIVELY, 600)) != state(lived(LIVELY.replace("11", "12"), 600))


def test_the_life_of_one_set_does_not_depend_on_its_neighbours() -> None:
    alone = "\n".join(line for line in LIVELY.splitlines() if "spot" not in line)
    assert state(lived(alone, 900))["web"] == state(lived(LIVELY, 900))["web"]


async def test_the_same_moment_has_the_same_answer(ask: Ask) -> None:
    first, second = await ask(list_path("web")), await ask(list_path("web"))
    assert first.body == second.body


def test_within_an_hour_every_kind_of_thing_happens() -> None:
    fleet = lived(LIVELY, 3600)
    told = sum((scale_set.begun_stories for scale_set in fleet.scale_sets), Counter[str]())
    expected = {teller.__name__ for teller in stories.TELLERS}
    assert expected == set(told)


def test_every_state_is_seen_on_the_way() -> None:
    fleet = lived(LIVELY)
    seen: set[tuple[str, str | None]] = set()
    for second in range(0, 3600, 5):
        fleet.advance(START + second)
        for scale_set in fleet.scale_sets:
            for one in scale_set.instances.values():
                seen |= {
                    ("power", one.power),
                    ("provisioning", one.provisioning.partition("/")[0]),
                    ("agent", one.agent),
                    ("health", one.health),
                }
                seen |= {("extension", each.state) for each in one.extensions.values()}
    for power in ("starting", "running", "stopping", "stopped", "deallocating", "deallocated"):
        assert ("power", power) in seen
    for provisioning in ("creating", "updating", "succeeded", "failed", "deleting"):
        assert ("provisioning", provisioning) in seen
    for agent in ("ready", "unavailable", "silent", "absent"):
        assert ("agent", agent) in seen
    for health in ("healthy", "unhealthy", "initializing", "unknown"):
        assert ("health", health) in seen
    for extension in ("succeeded", "transitioning", "failed/1"):
        assert ("extension", extension) in seen


def test_the_fleet_neither_grows_nor_falls_ill_without_end() -> None:
    fleet = lived(LIVELY, 7000)
    for scale_set in fleet.scale_sets:
        size = scale_set.description.size
        assert size * 0.7 <= len(scale_set.instances) <= size * 1.4 + 2
    assert powers(fleet)["running"] > fleet.instance_count() * 0.6


def test_deleted_ids_are_not_given_out_again_and_protected_ones_stay() -> None:
    fleet = Fleet.from_yaml("scale_sets: [{name: web, size: 10, pace: 60, protected: 3}]")
    web = fleet.scale_set("web")
    owners = {name: one.disk for name, one in web.instances.items()}
    fleet.advance(START)
    for second in range(0, 3600, 10):
        fleet.advance(START + second)
        for name, one in web.instances.items():
            assert owners.setdefault(name, one.disk) == one.disk
    assert len(owners) > len(web.instances)
    assert {"0", "1", "2"} <= set(web.instances)


def test_a_still_set_stays_as_it_is() -> None:
    text = "scale_sets: [{name: web, size: 10}]"
    assert state(lived(text, 3000)) == state(lived(text))
    assert powers(lived(text)) == {"running": 10}


def test_a_still_set_can_be_in_trouble_from_the_start() -> None:
    text = "scale_sets: [{name: web, size: 40, trouble: 0.5}]"
    fleet = lived(text)
    assert sum(one.story is not None for one in fleet.scale_set("web").instances.values()) > 5
    assert state(lived(text, 3000)) == state(fleet)


def test_the_demo_shows_variety_at_the_first_moment_and_changes_within_a_minute() -> None:
    fleet = Fleet.demo()
    fleet.advance(START)
    assert len(fleet.scale_sets) == 8
    assert 240 <= fleet.instance_count() <= 270
    assert len(fleet.scale_set("web").instances) > 120
    assert not fleet.scale_set("standby").instances
    everyone = [one for each in fleet.scale_sets for one in each.instances.values()]
    assert any(one.provisioning.startswith("failed/") for one in everyone)
    assert any(one.power != "running" for one in everyone)
    assert any(one.agent != "ready" for one in everyone)
    assert any(
        each.state.startswith("failed/") for one in everyone for each in one.extensions.values()
    )
    before = state(fleet)
    fleet.advance(START + 60)
    assert state(fleet) != before


def test_a_very_long_gap_is_slept_through() -> None:
    fleet = lived(LIVELY, 10 * 86_400)
    assert fleet.elapsed == CATCH_UP_LIMIT
    assert state(fleet) == state(lived(LIVELY, CATCH_UP_LIMIT))
    assert fleet.unix_time(fleet.elapsed) == START + 10 * 86_400
    fleet.advance(START + 10 * 86_400 + 60)
    assert fleet.elapsed == CATCH_UP_LIMIT + 60


def test_time_that_goes_back_changes_nothing() -> None:
    fleet = lived(LIVELY, 100)
    before = state(fleet)
    fleet.advance(START)
    assert state(fleet) == before


def test_instances_can_be_added_and_removed_by_hand() -> None:
    fleet = lived("scale_sets: [{name: web, size: 2}]")
    web = fleet.scale_set("WEB")
    added = web.add()
    web.remove("0")
    assert set(web.instances) == {"1", added.instance_id}
    with pytest.raises(KeyError):
        web.remove("0")
    with pytest.raises(KeyError):
        fleet.scale_set("web", "rg-other")


def test_an_instance_taken_away_in_the_middle_of_its_story_stays_away() -> None:
    fleet = lived(LIVELY, 600)
    web = fleet.scale_set("web")
    busy = [name for name, one in web.instances.items() if one.story is not None]
    for name in busy:
        web.remove(name)
    fleet.advance(START + 1800)
    assert busy
    assert not set(busy) & set(web.instances)


def test_one_description_can_stand_for_many_sets() -> None:
    fleet = Fleet.from_yaml("scale_sets: [{name: web, size: 1, repeat: 3}]")
    names = [scale_set.identity.name for scale_set in fleet.scale_sets]
    assert names == ["web-000", "web-001", "web-002"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{sead: 1}", "sead"),
        ("{scale_sets: [{name: web, colour: red}]}", "scale_sets.0.colour"),
        ("{scale_sets: [{name: web, os: plan9}]}", "scale_sets.0.os"),
        ("{faults: [{kind: gremlins}]}", "faults.0.kind"),
    ],
)
def test_a_wrong_fleet_file_is_refused_naming_the_place(text: str, place: str) -> None:
    with pytest.raises(pydantic.ValidationError) as refused:
        Fleet.from_yaml(text)
    assert ".".join(str(part) for part in refused.value.errors()[0]["loc"]) == place


def test_a_minute_in_the_life_of_twenty_thousand_instances_is_cheap() -> None:
    text = "scale_sets: [{name: big, repeat: 20, size: 1000, pace: 1}]"
    fleet = lived(text)
    begin = time.process_time()
    fleet.advance(START + 60)
    assert time.process_time() - begin < 2.0


async def test_the_server_moves_the_fleet_with_its_clock(
    ask: Ask, fleet: Fleet, clock: FakeClock
) -> None:
    await clock.advance(30)
    await ask(list_path("web"))
    assert fleet.elapsed == 30.0
