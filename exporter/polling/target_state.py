"""What the exporter holds of each target: the last good snapshot, and how its polls stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from math import inf

from exporter.exposition.text_format import cut
from exporter.metrics.mapper import Lines, MappedInstances, TargetMemory
from exporter.model.poll import PollState
from exporter.model.scale_set import ScaleSetModel, Target, short_region
from exporter.polling.activity import Activity
from exporter.polling.confirmation import Confirmation
from exporter.polling.outage import Outage

MODEL_INTERVAL = 300.0
"""Seconds between two GETs of a set where the budget allows it: its facts change seldom."""


class Suppressed(IntEnum):
    """What of a set `metrics.max_series` suppresses; each level includes those before."""

    NOTHING = 0
    INSTANCES = 1
    OPEN_COUNTS = 2
    ALL_BUT_POLLS = 3


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
    """The set's facts with their lines, ready to be served.

    Attributes:
        facts: what the GET told.
        lines: the same as sample lines.
        since: the monotonic time of the answer.
        served_until: the monotonic time until which they are served.
    """

    facts: ScaleSetModel
    lines: Lines
    since: float
    served_until: float


@dataclass(slots=True, eq=False)
class TargetState:
    """A target and all that is known of it. Its parts are replaced whole, never changed.

    Attributes:
        target: what is polled.
        poll: how the polls stand.
        poll_lines: the same as sample lines.
        snapshot: the last good walk; None before the first, and once it is too old or the set is
            gone.
        facts: the set's facts.
        memory: what the mapper keeps from poll to poll.
        counter_lines: the counters of what changed from poll to poll.
        codes_until: the monotonic times until which new failure codes wait to be served as 0.
        confirmation: the answers in a row that would remove the set's instances.
        outage: the failures in a row.
        model_reason: the reason that was logged for failing facts; None after a success.
        model_message: why the last GET of the facts failed, for people.
        due: the monotonic time of the next poll; None before anything was planned. A poll that was
            cancelled is still due.
        model_due: the same of the next GET of the facts.
        model_interval: the seconds between two of these that are in force.
        activity: whether the set is active or in trouble.
        suppressed: what the limit on series suppresses.
        model_is_shown: whether the facts are young enough to be served.
        place: which of the places of what is served is the record's.
        shown_until: the monotonic time when something of what is served gets too old.
    """

    target: Target
    poll: PollState
    poll_lines: Lines
    snapshot: Snapshot | None = None
    facts: ModelSnapshot | None = None
    memory: TargetMemory = field(default_factory=TargetMemory)
    counter_lines: Lines = field(default_factory=dict)
    codes_until: dict[str, float] = field(default_factory=dict)
    confirmation: Confirmation = field(default_factory=Confirmation)
    outage: Outage = field(default_factory=Outage)
    model_reason: str | None = None
    model_message: str | None = None
    due: float | None = None
    model_due: float | None = None
    model_interval: float = MODEL_INTERVAL
    activity: Activity = field(default_factory=Activity)
    suppressed: Suppressed = Suppressed.NOTHING
    model_is_shown: bool = False
    place: int = 0
    shown_until: float = inf

    @property
    def is_new(self) -> bool:
        """Whether no poll of this process has told anything of the set."""
        return not self.poll.tried and self.snapshot is None

    @property
    def location(self) -> str:
        """The short name of the region, by which limits are counted; empty until it is known.

        It becomes a label value of the exporter's own metrics, so it is as short as one.
        """
        return cut(short_region(self.facts.facts.location)) if self.facts else ""

    @property
    def capacity(self) -> int | None:
        """How many instances the set should have; None until that is known."""
        return self.facts.facts.capacity if self.facts else None

    def live_model(self, monotonic: float) -> ModelSnapshot | None:
        """The facts, unless they are older than data is kept."""
        facts = self.facts
        return facts if facts is not None and monotonic < facts.served_until else None

    def lines(self, monotonic: float) -> Iterable[Lines]:
        """All sample lines that are served at that monotonic time."""
        yield self.poll_lines
        if self.suppressed < Suppressed.ALL_BUT_POLLS:
            yield self.counter_lines
            if facts := self.live_model(monotonic):
                yield facts.lines
            if snapshot := self.snapshot:
                yield snapshot.mapped.lines
                if self.suppressed < Suppressed.OPEN_COUNTS:
                    yield snapshot.mapped.open_lines
                if self.suppressed < Suppressed.INSTANCES:
                    yield snapshot.mapped.instance_lines

    def lines_end(self, monotonic: float) -> float:
        """The monotonic time when the first of these lines is to be served no longer."""
        live = (self.live_model(monotonic), self.snapshot)
        ends = [part.served_until for part in live if part is not None]
        return min((*ends, *self.codes_until.values()), default=inf)
