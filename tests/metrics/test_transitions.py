"""Each test: these answers, one after the other, give these counters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.metrics.family import FamilyFilter
from exporter.metrics.limited_names import MOST_CODES
from exporter.metrics.mapper import Mapper, TargetMemory
from exporter.metrics.transitions import Transitions
from exporter.model.instance_view import Instance
from support.answers import WEB_TARGET, instance

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
STATES = ("creating", "starting", "running", "stopping", "stopped", "deallocating", "deallocated")


class Watched:
    """A scale set that is looked at again and again."""

    def __init__(self) -> None:
        self.mapper = Mapper()
        self.memory = TargetMemory()

    def answer(self, *instances: Instance, lost: int = 0) -> Watched:
        """Take a whole answer."""
        mapping = self.mapper.start(WEB_TARGET, self.memory)
        mapping.add(instances, lost=lost)
        mapping.finish()
        return self

    def fail(self, *instances: Instance) -> Watched:
        """Take an answer whose walk broke after these instances."""
        self.mapper.start(WEB_TARGET, self.memory).add(instances)
        return self

    def count_new_codes(self) -> Watched:
        """Let what waits count, as after a scrape."""
        transitions = self.transitions
        self.memory.transitions = transitions.released(transitions.waiting)
        return self

    @property
    def transitions(self) -> Transitions:
        assert self.memory.transitions is not None
        return self.memory.transitions

    @property
    def came_and_went(self) -> tuple[int, int]:
        return self.transitions.counts.creations, self.transitions.counts.deletions

    @property
    def entered(self) -> dict[str, int]:
        """The power states that were entered at all."""
        return {s: n for s, n in self.transitions.counts.power_states.items() if n}

    @property
    def failures(self) -> dict[str, int]:
        return self.transitions.counts.failures


def vm(
    instance_id: str,
    power: str | None = "running",
    provisioning: str | None = "succeeded",
    vm_id: str | None = None,
) -> Instance:
    codes = []
    if power is not None:
        codes.append(f"PowerState/{power}")
    if provisioning is not None:
        codes.append(f"ProvisioningState/{provisioning}")
    view = {"statuses": [{"code": code} for code in codes]}
    return instance(view, instance_id=instance_id, properties={"vmId": vm_id} if vm_id else {})


# The first answer


def test_the_first_answer_counts_nothing_and_every_counter_that_can_be_known_is_0() -> None:
    counts = Watched().answer(vm("0"), vm("1", provisioning="failed/AllocationFailed")).transitions
    assert (counts.counts.creations, counts.counts.deletions) == (0, 0)
    assert counts.counts.power_states == dict.fromkeys((*STATES, "unknown"), 0)
    assert counts.counts.failures == {"unspecified": 0, "allocationfailed": 0}


def test_the_first_answer_may_be_empty() -> None:
    assert Watched().answer().answer(vm("0")).came_and_went == (1, 0)


def test_nothing_is_counted_where_no_counter_is_served() -> None:
    watched = Watched()
    watched.mapper = Mapper(
        families=FamilyFilter(deny=("azure_vmss_instance_*", "azure_vmss_p*", "*_total"))
    )
    watched.answer(vm("0")).answer()
    assert watched.memory.transitions is None


# Instances that come and go


def test_a_new_instance_is_one_creation_and_no_power_state_transition() -> None:
    watched = Watched().answer(vm("0")).answer(vm("0"), vm("1", "creating"))
    assert (watched.came_and_went, watched.entered) == ((1, 0), {})


def test_an_instance_that_is_gone_is_one_deletion_however_often_azure_says_so() -> None:
    watched = Watched().answer(vm("0"), vm("1")).answer(vm("0")).answer(vm("0"))
    assert watched.came_and_went == (0, 1)


def test_an_instance_repeated_on_another_page_or_in_other_case_is_one() -> None:
    watched = Watched().answer(vm("a_B")).answer(vm("A_b"), vm("a_B"), vm("1"), vm("1"))
    assert watched.came_and_went == (1, 0)


def test_an_instance_that_comes_back_was_deleted_and_created() -> None:
    watched = Watched().answer(vm("0"), vm("1")).answer(vm("0")).answer(vm("0"), vm("1", "stopped"))
    assert (watched.came_and_went, watched.entered) == ((1, 1), {})


def test_a_reused_instance_id_is_one_deletion_and_one_creation_and_no_transition() -> None:
    watched = Watched().answer(vm("0", vm_id=A)).answer(vm("0", "creating", vm_id=B))
    assert (watched.came_and_went, watched.entered) == ((1, 1), {})


def test_the_same_vm_id_in_other_case_is_the_same_machine() -> None:
    watched = Watched().answer(vm("0", vm_id=A)).answer(vm("0", vm_id=A.upper()))
    assert watched.came_and_went == (0, 0)


def test_a_vm_id_that_is_no_uuid_tells_machines_apart_too() -> None:
    watched = Watched().answer(vm("0", vm_id="odd")).answer(vm("0", vm_id="ODD"))
    assert watched.came_and_went == (0, 0)
    assert watched.answer(vm("0", vm_id="other")).came_and_went == (1, 1)


def test_a_vm_id_that_is_left_out_is_remembered() -> None:
    watched = Watched().answer(vm("0", vm_id=A)).answer(vm("0"))
    assert watched.came_and_went == (0, 0)
    assert watched.answer(vm("0", vm_id=A)).came_and_went == (0, 0)
    assert watched.answer(vm("0")).answer(vm("0", vm_id=B)).came_and_went == (1, 1)


def test_a_vm_id_that_is_reported_for_the_first_time_makes_no_other_machine() -> None:
    assert Watched().answer(vm("0")).answer(vm("0", vm_id=A)).came_and_went == (0, 0)


def test_a_machine_under_another_instance_id_is_the_same_by_its_vm_id() -> None:
    watched = Watched().answer(vm("0", vm_id=A)).answer(vm("7", "stopped", vm_id=A))
    assert (watched.came_and_went, watched.entered) == ((0, 0), {"stopped": 1})
    swapped = Watched().answer(vm("0", vm_id=A), vm("1", vm_id=B))
    swapped.answer(vm("0", vm_id=B), vm("1", vm_id=A))
    assert swapped.came_and_went == (0, 0)


# Power states


def test_a_transition_counts_under_the_state_that_was_entered() -> None:
    watched = Watched().answer(vm("0"), vm("1")).answer(vm("0", "stopping"), vm("1"))
    assert watched.entered == {"stopping": 1}
    watched.answer(vm("0", "stopped"), vm("1", "stopped")).answer(vm("0"), vm("1", "stopped"))
    assert watched.entered == {"stopping": 1, "stopped": 2, "running": 1}


@pytest.mark.parametrize("word", [None, "unknown", "pondering"])
def test_unknown_counts_once_and_back_in_the_state_before_counts_nothing(word: str | None) -> None:
    watched = Watched().answer(vm("0")).answer(vm("0", word)).answer(vm("0", word))
    assert watched.entered == {"unknown": 1}
    assert watched.answer(vm("0")).entered == {"unknown": 1}
    watched.answer(vm("0", word)).answer(vm("0", "stopped"))
    assert watched.entered == {"unknown": 2, "stopped": 1}


def test_the_first_state_that_azure_tells_of_an_instance_is_entered() -> None:
    assert Watched().answer(vm("0", None)).answer(vm("0", "running")).entered == {"running": 1}


# Failures


def test_a_known_code_counts_at_once() -> None:
    watched = Watched().answer(vm("0"), vm("1")).answer(vm("0", provisioning="failed"), vm("1"))
    assert watched.failures == {"unspecified": 1}


def test_a_new_code_is_0_first_and_counts_all_that_waited_when_it_may() -> None:
    watched = Watched().answer(vm("0"), vm("1"))
    watched.answer(vm("0", provisioning="failed/X"), vm("1"))
    assert watched.failures == {"unspecified": 0, "x": 0}
    watched.answer(vm("0", provisioning="failed/X"), vm("1", provisioning="failed/X"))
    assert watched.failures == {"unspecified": 0, "x": 0}
    assert watched.count_new_codes().failures == {"unspecified": 0, "x": 2}
    watched.answer(vm("0", provisioning="failed/X"), vm("1"))
    watched.answer(vm("0", provisioning="failed/X"), vm("1", provisioning="failed/X"))
    assert watched.failures == {"unspecified": 0, "x": 3}


def test_who_stays_failed_counts_once_whatever_the_code_becomes() -> None:
    watched = Watched().answer(vm("0")).answer(vm("0", provisioning="failed/X")).count_new_codes()
    watched.answer(vm("0", provisioning="failed/Y")).answer(vm("0", provisioning="failed/X"))
    assert watched.failures == {"unspecified": 0, "x": 1, "y": 0}
    assert watched.transitions.waiting == {}


def test_a_provisioning_state_that_is_left_out_is_no_recovery() -> None:
    watched = Watched().answer(vm("0")).answer(vm("0", provisioning="failed"))
    watched.answer(vm("0", provisioning=None)).answer(vm("0", provisioning="failed"))
    assert watched.failures == {"unspecified": 1}
    watched.answer(vm("0")).answer(vm("0", provisioning="failed"))
    assert watched.failures == {"unspecified": 2}


def test_an_instance_that_comes_failed_has_entered() -> None:
    watched = Watched().answer().answer(vm("0", provisioning="failed"))
    assert watched.failures == {"unspecified": 1}


def test_codes_beyond_the_limit_are_other() -> None:
    watched = Watched().answer()
    for number in range(MOST_CODES + 10):
        watched.answer(vm(str(number), provisioning=f"failed/{number}"))
    watched.count_new_codes()
    assert len(watched.failures) == MOST_CODES + 2
    assert watched.failures["other"] == 10
    assert watched.failures["unspecified"] == 0
    assert sum(watched.failures.values()) == MOST_CODES + 10


# Answers that fail, and those that can be read in part


def test_a_walk_that_fails_changes_nothing() -> None:
    watched = Watched().answer(vm("0"), vm("1"))
    before = watched.transitions
    assert watched.fail(vm("0", "stopped")).transitions is before
    assert watched.answer(vm("0"), vm("1")).came_and_went == (0, 0)


def test_a_missing_instance_is_not_deleted_while_an_item_cannot_be_read() -> None:
    watched = Watched().answer(vm("0"), vm("1")).answer(vm("0"), lost=1).answer(vm("0"), lost=1)
    assert watched.came_and_went == (0, 0)
    assert watched.answer(vm("0"), vm("1", "stopped")).came_and_went == (0, 0)
    assert watched.entered == {"stopped": 1}, "compared with what it was before"


def test_a_missing_instance_is_deleted_when_a_complete_answer_says_so() -> None:
    watched = Watched().answer(vm("0"), vm("1")).answer(vm("0"), lost=1).answer(vm("0"))
    assert watched.came_and_went == (0, 1)


def test_one_unreadable_item_stands_for_one_instance_that_is_missing_longest() -> None:
    watched = Watched().answer(vm("0"), vm("1"), vm("2")).answer(vm("0"), vm("1"), lost=1)
    watched.answer(vm("0"), lost=1)
    assert watched.came_and_went == (0, 1)
    assert watched.answer(vm("0"), vm("2")).came_and_went == (0, 1)


def test_an_unreadable_item_of_the_first_answer_is_no_creation_when_it_is_read() -> None:
    watched = Watched().answer(vm("0"), lost=1).answer(vm("0"), vm("1"))
    assert watched.came_and_went == (0, 0)
    assert watched.answer(vm("0"), vm("1"), vm("2")).came_and_went == (1, 0)


def test_an_item_that_never_can_be_read_hides_no_deletion_and_no_memory_grows() -> None:
    watched = Watched().answer(vm("0"), lost=1)
    for number in range(1, 50):
        watched.answer(vm(str(number)), lost=1)
    creations, deletions = watched.came_and_went
    assert creations - deletions == 0
    assert len(watched.transitions.conditions) <= 2


def test_an_unreadable_item_of_the_first_answer_that_has_failed_is_no_new_failure() -> None:
    watched = Watched().answer(vm("0"), lost=1)
    watched.answer(vm("0"), vm("1", provisioning="failed/X")).count_new_codes()
    assert watched.failures == {"unspecified": 0, "x": 0}
    watched.answer(vm("0"), vm("1", provisioning="failed/X"), vm("2", provisioning="failed/X"))
    assert watched.failures == {"unspecified": 0, "x": 1}


def test_a_real_deletion_counts_while_an_item_of_the_first_answer_stays_unreadable() -> None:
    watched = Watched().answer(vm("0"), vm("1"), lost=1).answer(vm("0"), lost=1)
    assert watched.came_and_went == (0, 1)
    assert watched.answer(vm("0"), lost=1).came_and_went == (0, 1)


def test_a_machine_that_was_replaced_behind_an_unreadable_answer_went_and_came() -> None:
    watched = Watched().answer(vm("0", vm_id=A)).answer(lost=1)
    assert watched.came_and_went == (0, 0)
    assert watched.answer(vm("0", vm_id=B)).came_and_went == (1, 1)
    same = Watched().answer(vm("0", vm_id=A)).answer(lost=1).answer(vm("0", vm_id=A))
    assert same.came_and_went == (0, 0)


def test_a_reused_id_counts_whatever_else_cannot_be_read() -> None:
    watched = Watched().answer(vm("0", vm_id=A)).answer(vm("0", vm_id=B), lost=1)
    assert watched.came_and_went == (1, 1)


# The next process


def test_what_was_written_goes_on_and_the_gap_counts_once() -> None:
    first = Watched().answer(vm("0", vm_id=A), vm("1"))
    first.answer(vm("0", "stopped", vm_id=A), vm("1", provisioning="failed/X"))
    second = Watched()
    second.memory.transitions = Transitions.from_state(first.transitions.to_state())
    assert second.transitions == first.transitions
    second.answer(vm("0", "running", vm_id=B), vm("1", provisioning="failed/X"), vm("2"))
    assert second.came_and_went == (2, 1)
    assert second.entered == {"stopped": 1}
    assert second.count_new_codes().failures == {"unspecified": 0, "x": 1}


@pytest.mark.parametrize("state", [b"", b"\x80", b"\x93\x01\x02\x03", b"nonsense"])
def test_a_state_that_cannot_be_read_is_a_cold_start(state: bytes) -> None:
    assert Transitions.from_state(state) is None


# Whatever comes

machines = st.builds(
    vm,
    st.sampled_from(["0", "1", "2", "a", "A"]),
    st.sampled_from([None, "running", "stopped", "odd"]),
    st.sampled_from([None, "succeeded", "failed", "failed/X"]),
    st.sampled_from([None, A, B]),
)
answers = st.lists(st.lists(machines, max_size=5), min_size=1, max_size=6)


def ids_of(found: list[Instance]) -> set[str]:
    return {(one.instance_id or "").casefold() for one in found}


@settings(max_examples=300, deadline=None)
@given(answers, st.data())
def test_creations_less_deletions_are_what_the_set_grew_by(
    seen: list[list[Instance]], data: Any
) -> None:
    watched, undisturbed = Watched(), Watched()
    for found in seen:
        if data.draw(st.booleans(), label="a walk fails before"):
            watched.fail(*data.draw(st.lists(machines, max_size=5)))
        watched.answer(*found)
        undisturbed.answer(*found)
        creations, deletions = watched.came_and_went
        assert creations - deletions == len(ids_of(found)) - len(ids_of(seen[0]))
        assert watched.transitions == undisturbed.transitions
        assert watched.transitions.conditions.keys() == ids_of(found)
        restored = Transitions.from_state(watched.transitions.to_state())
        assert restored == watched.transitions


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.lists(machines, max_size=5), st.integers(0, 3)), min_size=1))
def test_counters_never_fall_and_unreadable_items_bound_what_is_kept(
    seen: list[tuple[list[Instance], int]],
) -> None:
    watched = Watched()
    before = [0, 0, 0, 0]
    for found, lost in seen:
        counts = watched.answer(*found, lost=lost).transitions.counts
        now = [
            counts.creations,
            counts.deletions,
            sum(counts.power_states.values()),
            sum(counts.failures.values()),
        ]
        assert all(b <= n for b, n in zip(before, now, strict=True))
        assert len(watched.transitions.conditions) <= len(ids_of(found)) + lost
        assert watched.transitions.vm_ids.keys() <= watched.transitions.conditions.keys()
        before = now
