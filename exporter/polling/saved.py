"""What of a scale set outlives a restart."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from exporter.metrics.mapper import MappedInstances, TargetMemory
from exporter.model.scale_set import ScaleSetModel
from exporter.polling.target_state import TargetState


class Saved(
    msgspec.Struct, kw_only=True, rename={"model": "facts", "model_fetched": "facts_fetched"}
):
    """What is saved of a target. Times are Unix times: monotonic ones end with the machine.

    The model has another name in the file, for files of earlier versions to be read.

    Attributes:
        last_success: when the last good walk ended; None before the first.
        mapped: what it found; None once the set is gone.
        model: the scale set model.
        model_fetched: when it was fetched.
        memory: what the mapper keeps from poll to poll.
        transitions: the state of the counters, as its owner writes it.
    """

    last_success: float | None = None
    mapped: MappedInstances | None = None
    model: ScaleSetModel | None = None
    model_fetched: float | None = None
    memory: TargetMemory = msgspec.field(default_factory=TargetMemory)
    transitions: bytes = b""

    @classmethod
    def of(cls, state: TargetState) -> Saved:
        """What is known of a target now; cheap, for values are replaced whole, never changed."""
        data = state.data
        transitions = data.memory.transitions
        return cls(
            last_success=data.poll.last_success,
            mapped=data.snapshot.mapped if data.snapshot else None,
            model=data.model.model if data.model else None,
            model_fetched=data.poll.model_last_success,
            memory=replace(data.memory, transitions=None),
            transitions=transitions.to_state() if transitions else b"",
        )
