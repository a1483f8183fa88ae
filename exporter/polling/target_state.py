"""What is known of each target: the last good snapshot, how its polls stand, when it is due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from exporter.azure.operation import LIST_INSTANCES, LIST_VIRTUAL_MACHINES, Operation, Scope
from exporter.exposition.text_format import cut
from exporter.metrics.instance_json import Item, read_items
from exporter.metrics.mapper import MappedInstances, TargetMemory
from exporter.model.details import NO_DETAILS, SetDetails
from exporter.model.poll import PollState
from exporter.model.scale_set import ScaleSetModel, Target, short_region
from exporter.polling.activity import Activity
from exporter.polling.confirmation import Confirmation
from exporter.polling.outage import Outage

MODEL_INTERVAL = 300.0
"""Seconds between two GETs of a set where the budget allows it: its model changes seldom."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One successful walk, ready to be served.

    Attributes:
        mapped: what it found.
        since: the monotonic time of its end.
        served_until: the monotonic time until which it is served.
    """

    mapped: MappedInstances
    since: float
    served_until: float


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """The scale set model as it was read last.

    Attributes:
        model: what the GET of the scale set answered.
        since: the monotonic time of the answer.
        served_until: the monotonic time until which it is served.
    """

    model: ScaleSetModel
    since: float
    served_until: float


@dataclass(frozen=True, slots=True)
class DetailsSnapshot:
    """What was asked for beside the model.

    Attributes:
        details: the last good answers.
        served_until: the monotonic time until which each field of them is served.
    """

    details: SetDetails = NO_DETAILS
    served_until: Mapping[str, float] = field(default_factory=dict)

    def live(self, monotonic: float) -> SetDetails:
        """What is served at that time."""
        over = {name: None for name, until in self.served_until.items() if until <= monotonic}
        return replace(self.details, **over) if over else self.details


NO_ANSWERS = DetailsSnapshot()


@dataclass(slots=True)
class TargetData:
    """What the polls of a target have found. Values are replaced whole, never changed.

    Attributes:
        poll: how the polls stand.
        snapshot: the last good walk; None before the first, and once it is too old or the set is
            gone.
        model: the scale set model; None as above, but kept when it is too old to be served.
        model_interval: the seconds between two GETs of the model that are in force.
        model_reason: why the last GET of the model failed, if that was logged; else None.
        model_message: the error of the last GET of the model; None after a success.
        details: what was asked for beside the model.
        memory: what the mapper keeps from poll to poll.
        codes_until: the monotonic time until which a new failure code is served as 0.
        confirmation: which answers are not believed the first time.
        listed_as_flexible: whether Azure has declined to list the set as a Uniform one, since the
            model was read.
    """

    poll: PollState
    snapshot: Snapshot | None = None
    model: ModelSnapshot | None = None
    model_interval: float = MODEL_INTERVAL
    model_reason: str | None = None
    model_message: str | None = None
    details: DetailsSnapshot = NO_ANSWERS
    memory: TargetMemory = field(default_factory=TargetMemory)
    codes_until: dict[str, float] = field(default_factory=dict)
    confirmation: Confirmation = field(default_factory=Confirmation)
    listed_as_flexible: bool = False

    @property
    def is_flexible(self) -> bool:
        """Whether the set is listed as a Flexible one."""
        model = self.model
        return self.listed_as_flexible or (model is not None and model.model.is_flexible)

    @property
    def list_operation(self) -> Operation:
        """The call that lists the set's instances."""
        return LIST_VIRTUAL_MACHINES if self.is_flexible else LIST_INSTANCES

    def live_model(self, monotonic: float) -> ModelSnapshot | None:
        """The scale set model, unless it is older than data is kept."""
        model = self.model
        return model if model is not None and monotonic < model.served_until else None


@dataclass(slots=True, eq=False)
class TargetState:
    """A target and what is known of it, in parts. Each part has one writer; all others read.

    Attributes:
        target: what is polled. Written by the registry, `Targets`.
        data: what the polls have found. Written by `Poller`, what is of the model by the
            `ModelPoller` that it is built on, the details by `DetailsPoller`.
        due: the monotonic time at which each operation is due. Written by `Scheduler`.
        activity: whether the set changes or fails. Written by `Intervals`.
        outage: the failures since the last success, for the log. Written by `Poller`.
        removed: whether it is not a target any more. Written by the registry.
    """

    target: Target
    data: TargetData
    due: dict[Operation, float] = field(default_factory=dict)
    activity: Activity = field(default_factory=Activity)
    outage: Outage = field(default_factory=Outage)
    removed: bool = False

    @classmethod
    def of(cls, target: Target) -> TargetState:
        """The state of a target that was never polled."""
        return cls(target, TargetData(poll=PollState(interval=target.interval)))

    @property
    def is_new(self) -> bool:
        """Whether neither a poll nor a state file has given this process anything of the set."""
        poll = self.data.poll
        return not poll.tried and poll.last_success is None and self.data.snapshot is None

    @property
    def location(self) -> str:
        """The short name of the region, by which limits are counted; empty until it is known.

        It becomes a label value of the exporter's own metrics, so it is as short as one.
        """
        model = self.data.model
        return cut(short_region(model.model.location)) if model else ""

    @property
    def scope(self) -> Scope:
        """What its calls are about, and by which limits they are counted."""
        return Scope.of(self.target.scale_set, self.location, self.target.credential)

    def items(self, *, wanted: str | None = None) -> Iterator[Item | None]:
        """Read Azure's items of the last good walk, as `read_items` does; none without a walk."""
        snapshot = self.data.snapshot
        return read_items(
            snapshot.mapped.details if snapshot else b"",
            scale_set=self.target.scale_set,
            spellings=self.data.memory.spellings,
            wanted=wanted,
        )

    @property
    def capacity(self) -> int | None:
        """How many instances the set should have; None until that is known."""
        return self.data.model.model.capacity if self.data.model else None
