"""What a fleet costs: series, bytes and calls of each set, and of all against the limits.

For `--config.check --estimate` and `--once`, after every set was polled once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.assembly import Exporter
from exporter.azure.operation import LIST_VIRTUAL_MACHINES, Operation
from exporter.polling.target_state import TargetState

MANAGED_SERIES = 1_000_000
"""Active series that an Azure Monitor workspace takes by default."""

MOST_ROWS = 200
"""Sets that have a row; the rest is one row."""

_GROUPS = (
    ("agents", ("azure_vmss_vm_agent_",)),
    ("extensions", ("azure_vmss_extension_",)),
    ("disks", ("azure_vmss_disk_",)),
    ("instances", ("azure_vmss_instance_",)),
)
_OF_SETS = frozenset(
    (
        "azure_vmss_instance_creations_total",
        "azure_vmss_instance_deletions_total",
        "azure_vmss_instance_series_suppressed",
        "azure_vmss_disk_instances",
        "azure_vmss_extension_instances",
    )
)
_COLUMNS = ("mode", "instances", "series", "bytes", "calls/min", "interval")


class Estimate(NamedTuple):
    """What one set costs.

    Attributes:
        groups: its series by the group of their families.
        bytes: of its lines in a scrape, before compression.
        calls: a minute, at the interval that results.
        views: of VMs a minute, likewise.
        interval: the seconds that result.
        requested: the requested seconds.
    """

    name: str
    flexible: bool
    instances: int
    groups: Counter[str]
    bytes: int
    calls: float
    views: float
    interval: float
    requested: float

    @property
    def series(self) -> int:
        """All of them."""
        return self.groups.total()


def report(exporter: Exporter) -> Iterator[str]:
    """The whole report, line by line."""
    states = sorted(exporter.targets, key=lambda state: str(state.target.scale_set))
    exporter.intervals.plan_anew()
    found = [_of(exporter, state) for state in states]
    yield from _table(found)
    yield ""
    yield from _groups(found)
    yield from _budget(exporter, states, found)
    yield from _limits(exporter, found)


def _of(exporter: Exporter, state: TargetState) -> Estimate:
    groups: Counter[str] = Counter()
    size = 0
    for lines in exporter.publisher.lines(state, suppressed=False):
        for family, block in lines.items():
            groups[_group(family)] += block.lines
            size += block.length
    interval = exporter.intervals.of(state)
    cost = exporter.connection.budget.expected(state.target.scale_set)
    snapshot = state.data.snapshot
    minute = 60 / interval
    return Estimate(
        name=str(state.target.scale_set),
        flexible=state.data.is_flexible,
        instances=snapshot.mapped.instances if snapshot else 0,
        groups=groups,
        bytes=size,
        calls=(cost.pages if cost else 1) * minute,
        views=(cost.views if cost else 0) * minute,
        interval=interval,
        requested=state.target.interval,
    )


def _group(family: str) -> str:
    if family not in _OF_SETS:
        for name, prefixes in _GROUPS:
            if family.startswith(prefixes):
                return name
    return "sets"


def _table(found: Sequence[Estimate]) -> Iterator[str]:
    largest_first = sorted(found, key=lambda one: -one.series)
    rows = [_row(one) for one in largest_first[:MOST_ROWS]]
    if left := largest_first[MOST_ROWS:]:
        rows.append(_sum(f"{len(left)} more sets", left))
    rows.append(_sum(f"{len(found)} sets", found))
    rows.insert(0, ("scale set", *_COLUMNS))
    width, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    for name, *cells in rows:
        shown = (cell.rjust(space) for cell, space in zip(cells, widths, strict=True))
        yield f"{name.ljust(width)}  {'  '.join(shown)}"


def _row(one: Estimate) -> tuple[str, ...]:
    return (
        one.name,
        "flexible" if one.flexible else "uniform",
        f"{one.instances:,}",
        f"{one.series:,}",
        f"{one.bytes:,}",
        f"{one.calls:.2f}",
        f"{one.interval:.0f} s",
    )


def _sum(name: str, found: Sequence[Estimate]) -> tuple[str, ...]:
    return (
        name,
        "",
        f"{sum(one.instances for one in found):,}",
        f"{sum(one.series for one in found):,}",
        f"{sum(one.bytes for one in found):,}",
        f"{sum(one.calls for one in found):.2f}",
        f"{max((one.interval for one in found), default=0):.0f} s",
    )


def _groups(found: Sequence[Estimate]) -> Iterator[str]:
    groups: Counter[str] = Counter()
    for one in found:
        groups.update(one.groups)
    shown = ", ".join(f"{name} {count:,}" for name, count in groups.most_common())
    yield f"series by group: {shown or 'none'}"


def _budget(
    exporter: Exporter, states: Sequence[TargetState], found: Sequence[Estimate]
) -> Iterator[str]:
    spent: dict[tuple[str, str, Operation], list[float]] = {}
    for state, one in zip(states, found, strict=True):
        scope = state.scope
        key = scope.subscription_id.casefold(), scope.location, state.data.list_operation
        total = spent.setdefault(key, [0.0, 0.0])
        total[0] += one.calls
        total[1] += one.views
    for (subscription, location, operation), (calls, views) in sorted(
        spent.items(), key=lambda item: (*item[0][:2], item[0][2].name)
    ):
        rates = exporter.connection.budget.rates(subscription, location, operation)
        text = f"{calls:,.1f} of {rates.requests * 60:,.0f} lists a minute"
        if operation is not LIST_VIRTUAL_MACHINES:
            text += f", {views:,.0f} of {rates.views * 60:,.0f} VM views"
        kind = "flexible" if operation is LIST_VIRTUAL_MACHINES else "uniform"
        yield f"budget of {subscription} {location or 'of no region'} ({kind}): {text}"
    stretched = [one for one in found if one.interval > 1.01 * one.requested]
    if stretched:
        longest = max(one.interval for one in stretched)
        yield (
            f"{len(stretched)} sets are polled less often than requested, at most each "
            f"{longest:.0f} s: raise polling.budget_share, or spread them over subscriptions"
        )


def _limits(exporter: Exporter, found: Sequence[Estimate]) -> Iterator[str]:
    series, most = sum(one.series for one in found), exporter.configuration.metrics.max_series
    suppressed = [state for state in exporter.targets if exporter.publisher.is_suppressed(state)]
    limit = f"{series:,} of {most:,} series" if most else f"no limit; {series:,} series"
    yield f"max_series: {limit}"
    if suppressed:
        yield (
            f"max_series suppresses the instance series of {len(suppressed)} of the largest sets"
        )
    yield (
        f"Azure Monitor workspace: {100 * series / MANAGED_SERIES:.1f} % of the "
        f"{MANAGED_SERIES:,} active series that it takes by default"
    )
    yield from _advice(exporter, found, series)


def _advice(exporter: Exporter, found: Sequence[Estimate], series: int) -> Iterator[str]:
    configuration = exporter.configuration
    instances = sum(one.instances for one in found)
    if not instances:
        return
    if configuration.metrics.state_sets == "full":
        saved = series - _active(exporter)
        if saved > 0:
            yield f"advice: metrics.state_sets: active saves {saved:,} series"
    for name, prefixes in _GROUPS[:3]:
        count = sum(one.groups[name] for one in found)
        if count > series / 4:
            yield f'advice: metrics.deny: ["{prefixes[0]}*"] saves {count:,} series'
    if configuration.azure.detail != "full" and not all(one.flexible for one in found):
        yield "advice: azure.detail: full costs no call more, and adds zone, size and model drift"


def _active(exporter: Exporter) -> int:
    """The series with `state_sets: active`: one of a state set in place of all its states."""
    states = {family.name: len(family.states) for family in exporter.state_sets}
    count = 0
    for state in exporter.targets:
        for lines in exporter.publisher.lines(state, suppressed=False):
            for name, block in lines.items():
                count += block.lines // states.get(name, 1)
    return count
