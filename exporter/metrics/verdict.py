"""How an instance is, in one word and the reasons for it, for people.

The word is the worst of power, provisioning, health, agent, extensions and disks. It is told on
pages only: the families tell each of these by itself.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple, get_args

import msgspec

from exporter.metrics.instance_state import InstanceState
from exporter.metrics.statuses import UNKNOWN, ParsedStatus, timestamp_of

Verdict = Literal["failed", "warning", "unknown", "changing", "off", "ok"]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""The worst first."""

MOST_REASONS = 40
"""Different reasons that are counted in one set; Azure's extensions have names without end."""

_RANKS = {verdict: rank for rank, verdict in enumerate(VERDICTS)}
_WELL = frozenset(("succeeded", "ready", ""))
_PASSES = frozenset(("transitioning", "creating", "updating", "deleting", "starting"))
_LEVELS: tuple[Verdict, ...] = ("ok", "warning", "failed")
_ERROR = 2


class Finding(NamedTuple):
    """One thing that is not as it should be, or not as it was asked for.

    Attributes:
        verdict: what it makes of the instance; never `ok`.
        reason: in words. The names and states in it are Azure's.
        since: the time of Azure's status, as Azure writes it; None where it has none.
    """

    verdict: Verdict
    reason: str
    since: str | None = None


class Reason(msgspec.Struct, frozen=True, array_like=True):
    """A finding of a set: of how many instances, and since when at least, in Unix time."""

    verdict: Verdict
    reason: str
    instances: int
    since: float | None


class Summary(msgspec.Struct, frozen=True, array_like=True):
    """The instances of a set by verdict, and why; the worst reasons of most instances first."""

    verdicts: dict[str, int]
    reasons: tuple[Reason, ...] = ()


class Summing:
    """A summary in the making: `see` every instance, then `finish`."""

    def __init__(self) -> None:
        self._verdicts: Counter[str] = Counter()
        self._instances: Counter[tuple[Verdict, str]] = Counter()
        self._since: dict[tuple[Verdict, str], float] = {}

    def see(self, observed: InstanceState) -> None:
        """Count an instance."""
        found = findings(observed)
        self._verdicts[verdict_of(found)] += 1
        for key, times in _by_reason(found).items():
            if key not in self._instances and len(self._instances) >= MOST_REASONS:
                key = (key[0], "other reasons")  # noqa: PLW2901 - counted under another name
            self._instances[key] += 1
            # The earliest of all: what began first is looked for.
            for time in filter(None, map(timestamp_of, times)):
                self._since[key] = min(time, self._since.get(key, time))

    def finish(self) -> Summary:
        """The summary."""
        reasons = [
            Reason(verdict, reason, count, self._since.get((verdict, reason)))
            for (verdict, reason), count in self._instances.items()
        ]
        reasons.sort(key=lambda one: (_RANKS[one.verdict], -one.instances, one.reason))
        return Summary(dict(self._verdicts), tuple(reasons))


def verdict_of(found: list[Finding]) -> Verdict:
    """The worst of all findings; `ok` without any."""
    return min((one.verdict for one in found), key=rank, default="ok")


def rank(verdict: Verdict) -> int:
    """The place of a verdict; the worst has 0."""
    return _RANKS[verdict]


def verdict_of_status(status: ParsedStatus | None) -> Verdict:
    """What one status of an agent, an extension or a disk makes of an instance."""
    if status is None:
        return "ok"
    if status.state == "failed":
        return "failed"
    by_level = _LEVELS[status.level or 0]
    if by_level != "ok" or status.state in _WELL:
        return by_level
    if status.state in _PASSES:
        return "changing"
    return "warning" if status.state in {"unavailable", "unresponsive", "notready"} else "ok"


def findings(observed: InstanceState) -> list[Finding]:
    """What is wrong with an instance, or out of the ordinary; the worst first."""
    found = [
        *_of_provisioning(observed),
        *_of_power(observed),
        *_of_health(observed),
        *_of_other_statuses(observed),
        *_of_extensions(observed),
        *_of_disks(observed),
    ]
    if observed.power_state == "running":
        # The agent of a machine that does not run cannot report.
        found += [*_of_agent(observed), *_of_handlers(observed)]
    if len(found) > 1:
        found.sort(key=lambda one: _RANKS[one.verdict])
    return found


def _by_reason(found: list[Finding]) -> dict[tuple[Verdict, str], list[str | None]]:
    """The times of each reason: two disks of one instance fail for one reason."""
    times: dict[tuple[Verdict, str], list[str | None]] = {}
    for one in found:
        times.setdefault((one.verdict, one.reason), []).append(one.since)
    return times


def _of_provisioning(observed: InstanceState) -> list[Finding]:
    state = observed.provisioning_state
    if state == "succeeded":
        return []
    since = _time_of(observed, "provisioning_state")
    if state == "failed":
        code = observed.failure_code
        why = f": {code}" if code and code != "unspecified" else ""
        return [Finding("failed", f"provisioning failed{why}", since)]
    if state == UNKNOWN:
        return [Finding("unknown", "provisioning state unknown")]
    return [Finding("changing", f"provisioning: {state}", since)]


def _of_power(observed: InstanceState) -> list[Finding]:
    state = observed.power_state
    if observed.in_standby_pool:
        return [Finding("off", "in a standby pool")]
    if state == "running":
        return []
    if observed.hibernation_state == "hibernated":
        return [Finding("off", "hibernated")]
    if state in {"stopped", "deallocated"}:
        return [Finding("off", state)]
    if state == UNKNOWN:
        # An instance that is being made has no power state yet.
        made = observed.provisioning_state == "creating"
        return [] if made else [Finding("unknown", "power state unknown")]
    return [Finding("changing", state)]


def _of_health(observed: InstanceState) -> list[Finding]:
    state, health = observed.health_state, observed.view.vm_health
    if state is None or state == "healthy" or observed.in_standby_pool:
        return []
    since = health.status.time if health is not None and health.status is not None else None
    if state == "unhealthy":
        return [Finding("failed", "unhealthy", since)]
    if state == "initializing":
        return [Finding("changing", "health initializing", since)]
    if observed.power_state != "running":
        return []
    return [Finding("warning", "health unknown", since)]


def _of_other_statuses(observed: InstanceState) -> list[Finding]:
    """Errors of statuses that have no families of their own, such as the colocation's."""
    return [
        Finding("failed", f"{status.kind.replace('_', ' ')}: {status.parsed.shown}", time)
        for status, time in zip(observed.statuses, observed.status_times, strict=True)
        if status.parsed.level == _ERROR
        and status.kind not in {"provisioning_state", "power_state"}
    ]


def _of_extensions(observed: InstanceState) -> list[Finding]:
    found = []
    for extension, time in zip(observed.extensions, observed.extension_times, strict=True):
        if (verdict := verdict_of_status(extension.status)) != "ok":
            state = extension.status.shown if extension.status else ""
            found.append(Finding(verdict, f"extension {extension.extension}: {state}", time))
    return found


def _of_disks(observed: InstanceState) -> list[Finding]:
    # Without the name, which is another one of each instance.
    return [
        Finding(verdict, f"disk: {disk.status.shown}", disk.time)
        for disk in observed.disks
        if (verdict := verdict_of_status(disk.status)) != "ok" and disk.status is not None
    ]


def _of_agent(observed: InstanceState) -> list[Finding]:
    status = observed.agent.status if observed.agent else None
    verdict = verdict_of_status(status)
    if status is None or verdict == "ok":
        return []
    if status.state not in _PASSES and verdict == "changing":
        verdict = "warning"
    # The time is that of Azure's answer where the agent does not report: it says nothing.
    return [Finding(verdict, f"VM agent: {status.shown}")]


def _of_handlers(observed: InstanceState) -> list[Finding]:
    found = []
    for handler in observed.handlers:
        status = handler.status
        if status is None:
            continue
        verdict = verdict_of_status(status)
        if status.state in {"notready", "unresponsive"} and verdict != "failed":
            # It comes at the level Info.
            verdict = "warning"
        if verdict != "ok":
            found.append(Finding(verdict, f"handler {handler.handler}: {status.shown}"))
    return found


def _time_of(observed: InstanceState, kind: str) -> str | None:
    for status, time in zip(observed.statuses, observed.status_times, strict=True):
        if status.kind == kind:
            return time
    return None
