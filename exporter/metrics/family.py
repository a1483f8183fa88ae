"""How a metric is declared: one value per family, from which everything else follows.

HELP and TYPE lines, label checks, filters, `docs/metrics.md` and the completeness tests are all
made from these declarations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Generic, Literal, TypeVar

from exporter.metrics.instance_state import InstanceState
from exporter.metrics.statuses import UNKNOWN
from exporter.metrics.transitions import TransitionCounts
from exporter.model.details import SetDetails
from exporter.model.poll import PollState
from exporter.model.scale_set import ScaleSetModel

SCALE_SET_LABELS = ("subscription_id", "resource_group", "scale_set")
INSTANCE_LABELS = (*SCALE_SET_LABELS, "instance_id")

Labels = tuple[str, ...]
Row = tuple[Labels, float | str]
"""A sample: the values of the family's own labels, in their declared order, and its value; a text
is a number that is written already."""

Value = TypeVar("Value", bound=Hashable)

_NAME = re.compile(r"azure_vmss_[a-z0-9_]*[a-z0-9]")
_LABEL = re.compile(r"[a-z][A-Za-z0-9_]*")


class Stability(StrEnum):
    """What users may rely on: a STABLE family keeps its name and labels."""

    STABLE = "stable"
    EXPERIMENTAL = "experimental"


STABLE = Stability.STABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What every family declares.

    Attributes:
        name: the full metric name.
        help: one sentence, without quotes, for the HELP line.
        source: where the value comes from: paths in Azure's answer, from the item on, without
            indices. A field of a wrong type is counted under the first family that names it.
        absent_when: when no sample is served, and why.
        labels: the labels beyond the identity's.
        derivation: how the value follows from the source, where that is not plain.
        opt_in: whether the family is off unless `metrics.opt_in` names it.
        full_only: whether it needs `azure.detail: full`.
        whole: labels whose values are never cut, for what is cut would join with nothing; what they
            are made of has limits of its own.
    """

    name: str
    help: str
    source: tuple[str, ...]
    absent_when: str
    labels: tuple[str, ...] = ()
    derivation: str = ""
    stability: Stability = Stability.EXPERIMENTAL
    opt_in: bool = False
    full_only: bool = False
    whole: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = field(default="gauge", init=False)
    identity: tuple[str, ...] = field(default=SCALE_SET_LABELS, init=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name}: not a metric name of this exporter")
        if wrong := [label for label in self.labels if not _LABEL.fullmatch(label)]:
            raise ValueError(f"{self.name}: not label names: {wrong}")
        if len(set(self.labels) | set(INSTANCE_LABELS)) != len(self.labels) + len(INSTANCE_LABELS):
            raise ValueError(f"{self.name}: a label repeats itself or the identity")

    @property
    def unit(self) -> str:
        """The unit that the name's ending tells; empty for counts, states and labels."""
        return "seconds" if self.name.endswith("_seconds") else ""


@dataclass(frozen=True, eq=False, slots=True)
class Part(Generic[Value]):
    """A part of what an instance tells: all that the rows of its families can see.

    So lines that are made once per value of the part cannot be another instance's.

    Attributes:
        of: takes the part out of the instance state; equal values must be equal in all that
            they hold.
        shared: whether many instances have the same value: their lines are then made once per
            value, not once per instance.
    """

    of: Callable[[InstanceState], Value]
    shared: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFamily(Family, Generic[Value]):
    """A family with samples per instance.

    Attributes:
        part: the part of the instance that the samples are made from.
        rows: the samples, from the value of that part.
    """

    part: Part[Value]
    rows: Callable[[Value], Iterable[Row]]
    identity: tuple[str, ...] = field(default=INSTANCE_LABELS, init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSetFamily(Family):
    """A state set per instance: one 0/1 sample per known state, or only the one that holds."""

    state: Callable[[InstanceState], str | None]
    states: tuple[str, ...]
    labels: tuple[str, ...] = ("state",)
    identity: tuple[str, ...] = field(default=INSTANCE_LABELS, init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountFamily(Family):
    """A count of instances per label set.

    Attributes:
        keys: the label sets under which an instance counts.
        open_ended: whether Azure's free words are label values, so that there may be many series.
        always: label sets served even at 0.
        beside: label sets served at 0 as soon as the given one was seen.
        of_standby: whether instances in standby pools are counted; else all others are.
    """

    keys: Callable[[InstanceState], Iterable[Labels]]
    open_ended: bool = False
    always: tuple[Labels, ...] = ()
    beside: Callable[[Labels], Iterable[Labels]] | None = None
    of_standby: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFamily(Family, Generic[Value]):
    """A family about the scale set as a whole.

    Attributes:
        rows: the samples, from what is known of the set.
        states: of a state set, the known states; then the rows have the one that holds.
    """

    rows: Callable[[Value], Iterable[Row]]
    states: tuple[str, ...] = ()


class ModelFamily(SetFamily[ScaleSetModel]):
    """A family about the scale set itself, from the GET of the set."""


class DetailFamily(SetFamily[SetDetails]):
    """A family about the scale set from a call that `model` of the configuration asks for."""


class PollFamily(SetFamily[PollState]):
    """A family about how the polls of the set stand; always served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterFamily(Family):
    """A counter of what changed in the set from poll to poll; its name ends with `_total`."""

    rows: Callable[[TransitionCounts], Iterable[Row]]
    kind: Literal["gauge", "counter"] = field(default="counter", init=False)


@dataclass(frozen=True, slots=True)
class FamilyFilter:
    """Which families are served: `metrics.deny` and `metrics.opt_in` of the configuration.

    Both hold family names or shell patterns; the names are those of the text format, so a
    counter is named with its `_total`.
    """

    deny: tuple[str, ...] = ()
    opt_in: tuple[str, ...] = ()

    def serves(self, name: str, *, opt_in: bool = False) -> bool:
        """Whether the family of that name is served."""
        if any(fnmatchcase(name, pattern) for pattern in self.deny):
            return False
        return not opt_in or any(fnmatchcase(name, pattern) for pattern in self.opt_in)


def optional(value: float | None) -> Iterable[Row]:
    """The one sample of a family without labels; none for None."""
    return () if value is None else (((), value),)


def holding(text: str | None, states: Collection[str]) -> Iterable[Row]:
    """The state of a state set that holds, by Azure's word; none where there is no word."""
    state = (text or "").strip().lower()
    return (((state if state in states else UNKNOWN,), 1),) if state else ()
