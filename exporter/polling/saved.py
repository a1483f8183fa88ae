"""What of a scale set outlives a restart."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from exporter.metrics.mapper import MappedInstances, TargetMemory
from exporter.model.scale_set import ScaleSetModel
from exporter.polling.target_state import TargetState


class Saved(msgspec.Struct, kw_only=True):
    """What is kept of a record. Times are Unix times: monotonic ones end with the machine.

    Attributes:
        last_success: when the last good walk ended; None before the first.
        mapped: what it found; None once the set is gone.
        facts: the set's facts.
        facts_fetched: when they were fetched.
        memory: what the mapper keeps from poll to poll.
        transitions: the state of the counters, as its owner writes it.
    """

    last_success: float | None = None
    mapped: MappedInstances | None = None
    facts: ScaleSetModel | None = None
    facts_fetched: float | None = None
    memory: TargetMemory = msgspec.field(default_factory=TargetMemory)
    transitions: bytes = b""

    @classmethod
    def of(cls, record: TargetState) -> Saved:
        """What the record holds now; cheap, for its parts are replaced whole, never changed."""
        transitions = record.memory.transitions
        return cls(
            last_success=record.poll.last_success,
            mapped=record.snapshot.mapped if record.snapshot else None,
            facts=record.facts.facts if record.facts else None,
            facts_fetched=record.poll.model_last_success,
            memory=replace(record.memory, transitions=None),
            transitions=transitions.to_state() if transitions else b"",
        )
