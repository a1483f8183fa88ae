"""What changed in a scale set between two answers: counters, and the memory that they need.

Only whole walks are compared. Nothing here is ever changed in place: each comparison makes a new
`Transitions`, so one may be written to disk while the next is made.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Collection
from functools import lru_cache
from math import inf

import msgspec
from msgspec import Struct

from exporter.metrics.instance_state import POWER_STATES, InstanceState
from exporter.metrics.statuses import UNKNOWN, timestamp_of

UNSPECIFIED = "unspecified"
"""The code of a failure without one: it can come in every set, so it starts at 0."""


_LONGEST_VM_ID = 64
"""Bytes of a VM id that are remembered; of a longer one a digest is."""


class Condition(Struct, frozen=True, array_like=True, gc=False):
    """How an instance was. Instances that are alike share one object, which saves memory.

    Attributes:
        power_state: the last known one; unknown before the first.
        power_is_known: whether it was in the last answer.
        failure: the failure's code; empty for an instance that has not failed, None where Azure
            tells no provisioning state.
    """

    power_state: str
    power_is_known: bool
    failure: str | None


@lru_cache(maxsize=4096)
def _condition(power_state: str, power_is_known: bool, failure: str | None) -> Condition:  # noqa: FBT001 - all three are told apart by their type
    return Condition(power_state, power_is_known, failure)


class Walk:
    """What one walk saw of each instance, as far as transitions need it.

    Attributes:
        conditions: by the instance id without letter case.
        vm_ids: the VM ids, where Azure sends them, by the same; 16 bytes each.
        created: when Azure says that they were created, by the same; of Flexible sets only.
        lost: the number of items that could not be read at all.
        attached_before: an instance that comes, and was created before this Unix time, was
            attached to the set.
        detached: the ids of those that went and live on.
    """

    def __init__(self) -> None:
        self.conditions: dict[str, Condition] = {}
        self.vm_ids: dict[str, bytes] = {}
        self.created: dict[str, str] = {}
        self.lost = 0
        self.attached_before = -inf
        self.detached: set[str] = set()

    def see(self, key: str, observed: InstanceState) -> None:
        """Note an instance by its id without letter case."""
        # Most sets have the ids 0, 1, 2 and so on: their texts are shared.
        key = sys.intern(key)
        failure = observed.failure_code
        if failure is None and observed.provisioning_state != UNKNOWN:
            failure = ""
        power_state = observed.power_state
        self.conditions[key] = _condition(power_state, power_state != UNKNOWN, failure)
        if vm_id := observed.properties.vm_id:
            self.vm_ids[key] = _vm_id_bytes(vm_id)
        if observed.flexible and (created := observed.properties.time_created):
            self.created[key] = created

    def was_attached(self, key: str) -> bool:
        """Whether an instance that came is older than its place in the set."""
        created = timestamp_of(self.created.get(key))
        return created is not None and created < self.attached_before


class TransitionCounts(Struct, frozen=True, kw_only=True):
    """The counters of a set.

    Attributes:
        creations: instances that came.
        deletions: instances that went.
        power_states: power states entered, every known one.
        failures: failed states entered, by the failure's code.
    """

    creations: int = 0
    deletions: int = 0
    power_states: dict[str, int] = msgspec.field(
        default_factory=lambda: dict.fromkeys(POWER_STATES, 0)
    )
    failures: dict[str, int] = msgspec.field(default_factory=lambda: {UNSPECIFIED: 0})


class Transitions(Struct, frozen=True, kw_only=True):
    """The counters of a set, and what the next answer is compared with.

    Attributes:
        counts: what is served.
        waiting: failures by code that do not count before their code was served as 0.
        conditions: every instance of the last answer, and before these the missing ones that may
            be among its unreadable items.
        vm_ids: the last known VM ids of these.
        unread: unreadable items of the first answer that were not seen since: their instances
            are no new ones when they can be read.
    """

    counts: TransitionCounts
    waiting: dict[str, int] = msgspec.field(default_factory=dict)
    conditions: dict[str, Condition]
    vm_ids: dict[str, bytes]
    unread: int = 0

    @classmethod
    def begin(cls, walk: Walk) -> Transitions:
        """Begin with the first answer, which counts nothing."""
        failures = {UNSPECIFIED: 0}
        for condition in walk.conditions.values():
            if condition.failure:
                failures.setdefault(condition.failure, 0)
        return cls(
            counts=TransitionCounts(failures=failures),
            conditions=walk.conditions,
            vm_ids=walk.vm_ids,
            unread=walk.lost,
        )

    def after(self, walk: Walk) -> Transitions:
        """Compare the next answer with this, and count what changed."""
        came, gone, moved = self._changes(walk)
        attached = {key for key in came if walk.was_attached(key)}
        came = [key for key in came if key not in attached]
        gone = [key for key in gone if key not in walk.detached]
        # What could not be read at the first look is not new now.
        known_before = min(len(came), self.unread)
        unread = min(self.unread - known_before, walk.lost)
        # Each unreadable item may be an instance that is missing: the longest missing first.
        missing = [key for key in gone if key not in walk.conditions]
        kept = missing[: walk.lost - unread]

        conditions = {key: self.conditions[key] for key in kept} | walk.conditions
        vm_ids = {key: self.vm_ids[key] for key in kept if key in self.vm_ids}
        entered: Counter[str] = Counter()
        failed: Counter[str] = Counter(
            code for key in came[known_before:] if (code := walk.conditions[key].failure)
        )
        new = attached.union(came)
        for key, now in walk.conditions.items():
            if key in new:
                continue
            old_key = moved.get(key, key)
            old = self.conditions[old_key]
            if key not in walk.vm_ids and old_key in self.vm_ids:
                vm_ids[key] = self.vm_ids[old_key]
            if now is old:
                continue
            if now.power_is_known:
                if now.power_state != old.power_state:
                    entered[now.power_state] += 1
            elif old.power_is_known:
                entered[UNKNOWN] += 1
            if now.failure and not old.failure:
                failed[now.failure] += 1
            conditions[key] = _followed(old, now)
        vm_ids |= walk.vm_ids
        counts, waiting = self._counted(failed, walk)
        return Transitions(
            counts=msgspec.structs.replace(
                counts,
                creations=counts.creations + len(came) - known_before,
                deletions=counts.deletions + len(gone) - len(kept),
                power_states={
                    state: count + entered[state] for state, count in counts.power_states.items()
                },
            ),
            waiting=waiting,
            conditions=conditions,
            vm_ids=vm_ids,
            unread=unread,
        )

    def missing(self, walk: Walk) -> list[str]:
        """The ids of the last answer that another one has not."""
        return [key for key in self.conditions if key not in walk.conditions]

    def is_of(self, key: str, vm_id: str | None) -> bool:
        """Whether an instance of the last answer may have that VM id: one of them is unknown."""
        before = self.vm_ids.get(key)
        return before is None or not vm_id or before == _vm_id_bytes(vm_id)

    def released(self, codes: Collection[str]) -> Transitions:
        """Count what waited under these codes: they were served as 0."""
        failures = dict(self.counts.failures)
        waiting = dict(self.waiting)
        for code in codes:
            failures[code] = failures.get(code, 0) + waiting.pop(code, 0)
        counts = msgspec.structs.replace(self.counts, failures=failures)
        return msgspec.structs.replace(self, counts=counts, waiting=waiting)

    def to_state(self) -> bytes:
        """Everything as bytes, for the next process."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_state(cls, state: bytes) -> Transitions | None:
        """Read what `to_state` wrote; None for anything else, which is a cold start."""
        try:
            found = _decoder.decode(state)
        except (msgspec.DecodeError, UnicodeError):
            return None
        counts = found.counts
        return msgspec.structs.replace(
            found,
            counts=msgspec.structs.replace(
                counts,
                power_states={state: counts.power_states.get(state, 0) for state in POWER_STATES},
            ),
            conditions={
                sys.intern(key): _condition(*msgspec.structs.astuple(condition))
                for key, condition in found.conditions.items()
            },
            vm_ids={sys.intern(key): vm_id for key, vm_id in found.vm_ids.items()},
        )

    def _changes(self, walk: Walk) -> tuple[list[str], list[str], dict[str, str]]:
        """The ids that came, those that went, and by their id now the ids of those renamed."""
        came = [key for key in walk.conditions if not self._is_same(key, walk)]
        gone = {
            key: None
            for key in self.conditions
            if key not in walk.conditions or not self._is_same(key, walk)
        }
        by_vm_id = {self.vm_ids[key]: key for key in gone if key in self.vm_ids}
        moved: dict[str, str] = {}
        if by_vm_id:
            for key in came:
                vm_id = walk.vm_ids.get(key)
                if vm_id is not None and (old_key := by_vm_id.pop(vm_id, None)) is not None:
                    moved[key] = old_key
                    del gone[old_key]
            came = [key for key in came if key not in moved]
        return came, list(gone), moved

    def _is_same(self, key: str, walk: Walk) -> bool:
        """Whether the instance of that id is still the same: ids of deleted ones come again."""
        if key not in self.conditions:
            return False
        before, now = self.vm_ids.get(key), walk.vm_ids.get(key)
        return before is None or now is None or before == now

    def _counted(self, failed: Counter[str], walk: Walk) -> tuple[TransitionCounts, dict[str, int]]:
        """The counts with these failures, and what waits until its new code was served as 0."""
        failures = dict(self.counts.failures)
        waiting = dict(self.waiting)
        for code, count in failed.items():
            if code not in failures or code in waiting:
                failures.setdefault(code, 0)
                waiting[code] = waiting.get(code, 0) + count
            else:
                failures[code] += count
        # A code that took another's place counts nothing, but is known from now on.
        for condition in walk.conditions.values():
            if condition.failure:
                failures.setdefault(condition.failure, 0)
        return msgspec.structs.replace(self.counts, failures=failures), waiting


_decoder = msgspec.msgpack.Decoder(Transitions)


def _followed(old: Condition, now: Condition) -> Condition:
    """The condition to compare with next: what Azure does not tell stays as it was."""
    if now.power_is_known and now.failure is not None:
        return now
    return _condition(
        now.power_state if now.power_is_known else old.power_state,
        now.power_is_known,
        old.failure if now.failure is None else now.failure,
    )


def _vm_id_bytes(vm_id: str) -> bytes:
    """A VM id in any letter case; it is a UUID, but nothing about Azure is certain."""
    try:
        raw = bytes.fromhex(vm_id.replace("-", ""))
    except ValueError:
        raw = vm_id.casefold().encode(errors="replace")
    return raw if len(raw) <= _LONGEST_VM_ID else hashlib.sha256(raw).digest()
