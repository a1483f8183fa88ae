"""What `--once` and `--estimate` say on stderr of what could not be read."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.assembly import Exporter
from exporter.azure.denials import Denials
from exporter.azure.errors import Forbidden
from exporter.azure.operation import LIST_SCALE_SETS, LIST_SUBSCRIPTIONS
from exporter.polling.details_poller import OF_SETS, OPERATIONS, Failure, Kind, kinds_of

NOTHING_FOUND = (
    "discovery found no scale set; check the patterns, and that the identity may read the "
    f"subscriptions: {LIST_SUBSCRIPTIONS.rbac_action}, {LIST_SCALE_SETS.rbac_action} "
    "(docs/permissions.md)"
)


def has_failed(exporter: Exporter) -> bool:
    """Whether a set or a search has failed: what is asked for beside them does not count."""
    failed = any(not state.data.poll.up for state in exporter.targets)
    return failed or any(
        status.search and status.search.failures for status in exporter.discovery.status()
    )


def lines_of_failures(exporter: Exporter, denials: Denials) -> Iterator[str]:
    """Each failure, then what the identity may not read, by what that is for."""
    for state in exporter.targets:
        if state.data.poll.up and state.data.model_message:
            message = state.data.model_message
            yield f"{state.target.scale_set}: scale set model: {message}"
    yield from _of_details(exporter, denials)
    yield from _of_searches(exporter)
    for state in exporter.targets:
        if not state.data.poll.up:
            message = state.data.poll.message or "not polled: Azure asked to wait"
            yield f"{state.target.scale_set}: {message}"
    yield from denials.lines()


def _of_searches(exporter: Exporter) -> Iterator[str]:
    for status in exporter.discovery.status():
        if status.search is None:
            continue
        for failure in status.search.failures:
            yield f"discovery[{status.block}]: {failure.where}: {failure.message}"
        graph = status.search.graph_failure
        if graph is not None and graph.reason != Forbidden.reason:
            yield f"discovery[{status.block}]: {graph.where}: {graph.message}"
    if exporter.configuration.discovery and not len(exporter.targets):
        yield NOTHING_FOUND


def _of_details(exporter: Exporter, denials: Denials) -> Iterator[str]:
    """What `model` of the configuration asks for: of failures alike, the first and their number."""
    alike: dict[tuple[Kind, str], list[Failure]] = {}
    failed: set[tuple[Kind, tuple[str, ...]]] = set()
    for failure in exporter.details.failures():
        alike.setdefault((failure.kind, failure.reason), []).append(failure)
        failed.add((failure.kind, failure.key))
    for (kind, reason), failures in alike.items():
        feature = OPERATIONS[kind].feature
        if reason == Forbidden.reason and feature in denials.features:
            continue
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        yield f"{feature}: {failures[0].of}: {failures[0].message}{more}"
    for kind in sorted(kinds_of(exporter.configuration.model)):
        waiting = 0
        for state in exporter.targets:
            key, data = state.target.scale_set.key, state.data
            asked = not (data.is_flexible and kind in OF_SETS)
            told = kind in data.details.served_until or {(kind, key), (kind, key[:1])} & failed
            waiting += asked and not told
        if waiting:
            sets = f"{waiting} scale set{'s' if waiting > 1 else ''}"
            yield f"{OPERATIONS[kind].feature}: not read of {sets}: Azure asked to wait"
