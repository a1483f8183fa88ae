"""Instances with more parts than any machine has: cut down, so that no step takes long.

Azure sends some ten statuses and a handful of extensions per instance. Where a list is beyond all
measure its first entries stay, and of the others what counts: of each kind of status the worst,
and of everything that has a name one entry `other`, with the worst statuses of them all.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from exporter.metrics.limited_names import OTHER
from exporter.metrics.statuses import present, read, weight
from exporter.model.instance_view import (
    Disk,
    Extension,
    ExtensionHandler,
    Instance,
    InstanceView,
    Status,
)

INSTANCES_AT_A_TIME = 100
"""Instances that are mapped at a time: some 10 ms of work."""

PARTS_AT_A_TIME = 6000
"""Statuses and named parts of the instances that are mapped at a time; a hundred usual ones have
some 3,000."""

MOST_PARTS = 1000
"""Statuses and named parts that one instance may have without being cut down."""

KEPT_NAMES = 100
"""Extensions, handlers and disks that stay of more; a set shows 64 of each by name."""

KEPT_STATUSES = 16
"""Statuses that stay of more in one list, beside the worst of each kind."""

KINDS = 32
"""Kinds of status that are distinguished in a list that is cut down."""

_STEP = 1000


def batches(instances: Sequence[Instance]) -> Iterator[Sequence[Instance]]:
    """Instances in their order, as many at a time as are mapped in one go.

    One that has far too many parts is cut down first, in place; empty batches come while that is
    done, so that the caller can yield.
    """
    batch: list[Instance] = []
    parts = 0
    for instance in instances:
        own = _parts(instance)
        if own > MOST_PARTS:
            for _ in _cut(instance):
                yield ()
            own = MOST_PARTS
        batch.append(instance)
        parts += own
        if len(batch) >= INSTANCES_AT_A_TIME or parts >= PARTS_AT_A_TIME:
            yield batch
            batch, parts = [], 0
    if batch:
        yield batch


def _parts(instance: Instance) -> int:
    view = instance.properties.instance_view if instance.properties else None
    if view is None:
        return 0
    count = len(view.statuses or ())
    if agent := view.vm_agent:
        count += len(agent.statuses or ()) + len(agent.extension_handlers or ())
    for extension in view.extensions or ():
        count += 1
        if extension is not None:
            count += len(extension.statuses or ()) + len(extension.substatuses or ())
    for disk in view.disks or ():
        count += 1
        if disk is not None:
            count += len(disk.statuses or ())
    return count


def _cut(instance: Instance) -> Iterator[None]:
    view = instance.properties.instance_view if instance.properties else None
    if view is None:
        return
    view.statuses = yield from _statuses(view.statuses)
    if agent := view.vm_agent:
        agent.statuses = yield from _statuses(agent.statuses)
        agent.extension_handlers = yield from _handlers(agent.extension_handlers)
    view.extensions = yield from _extensions(view)
    view.disks = yield from _disks(view)


def _handlers(
    found: list[ExtensionHandler | None] | None,
) -> Generator[None, None, list[ExtensionHandler | None] | None]:
    if found is None or len(found) <= KEPT_NAMES:
        return found
    rest = [handler.status for handler in found[KEPT_NAMES:] if handler is not None]
    statuses = present((yield from _statuses(rest)))
    status = max(statuses, key=weight, default=None)
    return [*found[:KEPT_NAMES], ExtensionHandler(type=OTHER, status=status)]


def _extensions(view: InstanceView) -> Generator[None, None, list[Extension | None] | None]:
    found = view.extensions
    if found is None:
        return None
    kept, rest = found[:KEPT_NAMES], found[KEPT_NAMES:]
    if rest:
        other = Extension(name=OTHER, statuses=[], substatuses=[])
        for number, extension in enumerate(rest):
            if extension is not None and other.statuses is not None:
                other.statuses += extension.statuses or ()
            if number % _STEP == 0:
                yield
        kept.append(other)
    for extension in kept:
        if extension is not None:
            extension.statuses = yield from _statuses(extension.statuses)
            extension.substatuses = yield from _statuses(extension.substatuses)
    return kept


def _disks(view: InstanceView) -> Generator[None, None, list[Disk | None] | None]:
    found = view.disks
    if found is None:
        return None
    kept, rest = found[:KEPT_NAMES], found[KEPT_NAMES:]
    if rest:
        statuses: list[Status | None] = []
        for number, disk in enumerate(rest):
            if disk is not None:
                statuses += disk.statuses or ()
            if number % _STEP == 0:
                yield
        kept.append(Disk(name=OTHER, statuses=statuses))
    for disk in kept:
        if disk is not None:
            disk.statuses = yield from _statuses(disk.statuses)
    return kept


def _statuses(
    found: list[Status | None] | None,
) -> Generator[None, None, list[Status | None] | None]:
    """The list, or of one that is too long its first statuses and the worst of each kind."""
    if found is None or len(found) <= KEPT_STATUSES:
        return found
    worst: dict[str, tuple[tuple[int, float], Status]] = {}
    for number, status in enumerate(found[KEPT_STATUSES:]):
        if number % _STEP == 0:
            yield
        if status is None:
            continue
        kind, weighed = read(status).kind, weight(status)
        if kind not in worst and len(worst) >= KINDS:
            kind = OTHER
        if kind not in worst or weighed > worst[kind][0]:
            worst[kind] = weighed, status
    return [*found[:KEPT_STATUSES], *(status for _, status in worst.values())]
