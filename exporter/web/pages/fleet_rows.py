"""One scale set on the fleet's page: where it stands among the others, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.metrics.verdict import VERDICTS, Reason, Summary
from exporter.model.scale_set import ScaleSetId, ScaleSetModel, short_region
from exporter.polling.target_state import TargetState
from exporter.web.pages import links
from exporter.web.pages.texts import FAILING, NEW, PROBLEMS, STATES, Since, State, duration, label

MOST_REASONS = 3
"""Reasons that are told of a set in the fleet; its own page tells all."""

LATE = 3.0
"""Intervals after which data that came without a failure are called old."""

_OFTEN = 60.0
_NO_SUMMARY = Summary({})
# Blind is worse than sick, and what was never looked at comes before what is well.
_ORDER = (FAILING.key, "failed", "warning", "unknown", "changing", NEW.key, "off", "ok")
_RANKS = {key: number for number, key in enumerate(_ORDER)}


@dataclass(slots=True)
class SetFacts:
    """What is known of a set: enough to filter and to sort, cheap for thousands of them.

    Attributes:
        state: what is polled, and what is known of it.
        model: its model, unless that is too old.
        tags: those of its tags that may be shown.
        summary: how its instances are.
        reasons: what is wrong with them, and with the set itself.
    """

    state: TargetState
    model: ScaleSetModel | None
    tags: tuple[tuple[str, str], ...]
    summary: Summary
    reasons: tuple[Reason, ...]

    @classmethod
    def of(cls, state: TargetState, monotonic: float, tags: tuple[str, ...]) -> SetFacts:
        """What is known of a target now."""
        data = state.data
        live = data.live_model(monotonic)
        model = live.model if live else None
        summary = (data.snapshot and data.snapshot.mapped.summary) or _NO_SUMMARY
        reasons = summary.reasons
        if model is not None and (model.provisioning_state or "").casefold() == "failed":
            reasons = (Reason("failed", "the scale set itself: failed", 0, None), *reasons)
        return cls(state, model, shown_tags(model, tags), summary, reasons)

    @property
    def scale_set(self) -> ScaleSetId:
        """Which set it is."""
        return self.state.target.scale_set

    @property
    def key(self) -> str:
        """The worst that can be said of it in one word."""
        poll = self.state.data.poll
        if poll.reason:
            return FAILING.key
        snapshot = self.state.data.snapshot
        if snapshot is None or snapshot.mapped.summary is None:
            return NEW.key
        if self.reasons and self.reasons[0].verdict in PROBLEMS:
            return self.reasons[0].verdict
        return next((v for v in VERDICTS if self.summary.verdicts.get(v)), "ok")

    @property
    def instances(self) -> int | None:
        """How many instances it has; None where nobody knows."""
        snapshot = self.state.data.snapshot
        return snapshot.mapped.instances if snapshot else None

    def is_in(self, state: str) -> bool:
        """Whether the form's word for a state is true of it."""
        if state == "problems":
            return self.key == FAILING.key or any(r.verdict in PROBLEMS for r in self.reasons)
        return self.key == state or self.summary.verdicts.get(state, 0) > 0

    def order(self) -> tuple[int, int, str, str]:
        """By which the worst come first."""
        key = self.key
        affected = self.summary.verdicts.get(key, 0) if key in PROBLEMS else 0
        return _RANKS[key], -affected, self.scale_set.name.casefold(), self.scale_set.key[1]

    def searched(self) -> str:
        """The text that is searched, without letter case."""
        scale_set, model = self.scale_set, self.model
        words = [
            scale_set.subscription_id,
            scale_set.resource_group,
            scale_set.name,
            (model.location or "") if model else "",
            self.state.data.poll.reason or "",
        ]
        words += [f"{name}={value}" for name, value in self.tags]
        words += [one.reason for one in self.reasons]
        return "\n".join(words).casefold()


@dataclass(frozen=True, slots=True)
class Share:
    """The instances of a set in one state: how many, and their part of the bar in percent."""

    state: State
    instances: int
    begin: float
    width: float


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that is wrong: in words, of how many instances, and since when."""

    state: State
    words: str
    instances: int
    since: Since | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRow:
    """A set as the page shows it; all texts may be shown."""

    name: str
    page: str
    group: str
    subscription: str
    state: State
    instances: int | None
    capacity: int | None
    shares: list[Share]
    wrong: list[Wrong]
    more: int
    poll_reason: str
    updated: Since | None
    late: bool
    interval: str
    mode: str
    region: str
    tags: list[str]

    @classmethod
    def of(cls, facts: SetFacts, now: float) -> SetRow:
        """The row of a set."""
        scale_set, model, poll = facts.scale_set, facts.model, facts.state.data.poll
        key = facts.key
        state = {FAILING.key: FAILING, NEW.key: NEW}.get(key) or STATES[key]
        told = [one for one in facts.reasons if one.verdict != "off"]
        success = poll.last_success
        return cls(
            name=label(scale_set.name),
            page=links.page_of(scale_set),
            group=label(scale_set.resource_group),
            subscription=label(scale_set.subscription_id),
            state=state,
            instances=facts.instances,
            capacity=model.capacity if model else None,
            shares=shares_of(facts.summary.verdicts),
            wrong=[wrong_of(one, now) for one in told[:MOST_REASONS]],
            more=max(0, len(told) - MOST_REASONS),
            poll_reason=poll.reason or "",
            updated=Since.of(success, now),
            late=success is not None and now - success > LATE * max(poll.interval, _OFTEN),
            interval=duration(poll.interval),
            mode=mode_of(facts.state),
            region=label(short_region(model.location)) if model else "",
            tags=[label(f"{name}={value}") for name, value in facts.tags],
        )


def wrong_of(reason: Reason, now: float) -> Wrong:
    """A reason as the pages show it."""
    since = Since.of(reason.since, now)
    return Wrong(STATES[reason.verdict], label(reason.reason), reason.instances, since)


def shares_of(verdicts: Mapping[str, int]) -> list[Share]:
    """The parts of the bar, the worst first."""
    total = sum(verdicts.values())
    shares, begin = [], 0.0
    for key, state in STATES.items():
        if count := verdicts.get(key, 0):
            width = 100.0 * count / total
            shares.append(Share(state, count, round(begin, 2), round(width, 2)))
            begin += width
    return shares


def mode_of(state: TargetState) -> str:
    """The orchestration mode in words; empty before it is known."""
    if state.data.is_flexible:
        return "Flexible"
    return "Uniform" if state.data.model or state.data.snapshot else ""


def shown_tags(
    model: ScaleSetModel | None, allowed: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """The tags of a set that may be shown, in the spelling of `metrics.tags`."""
    if model is None or not allowed or not model.tags:
        return ()
    own = model.folded_tags
    return tuple((name, own[name.casefold()]) for name in allowed if name.casefold() in own)
