"""`/api/v1/status`: how polls and searches stand, in one JSON object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from exporter.discovery.discovery import SearchStatus
from exporter.discovery.finder import Failure
from exporter.polling.target_state import TargetState


def status_json(
    states: Iterable[TargetState],
    searches: Iterable[SearchStatus],
    *,
    version: str,
    messages: bool,
) -> Iterator[bytes]:
    """The JSON, in chunks.

    Args:
        states: the scale sets that are polled.
        searches: how the entries of `discovery` stand.
        messages: whether Azure's messages are shown.
    """
    document = {
        "version": version,
        "scale_sets": _polls(states),
        "discovery": [_search(one, messages=messages) for one in searches],
    }
    yield msgspec.json.encode(document) + b"\n"


def _polls(states: Iterable[TargetState]) -> dict[str, Any]:
    origins: Counter[str] = Counter(configured=0, discovered=0)
    reasons: Counter[str] = Counter()
    counts: Counter[str] = Counter(up=0, down=0, not_polled=0)
    oldest: float | None = None
    for state in states:
        poll = state.data.poll
        origins[state.target.origin] += 1
        counts["up" if poll.up else "down" if poll.reason else "not_polled"] += 1
        if poll.reason:
            reasons[poll.reason] += 1
        if poll.last_success is not None:
            oldest = min(oldest or poll.last_success, poll.last_success)
    return {
        **origins,
        **counts,
        "poll_failures": dict(sorted(reasons.items())),
        "oldest_success_timestamp_seconds": oldest,
    }


def _search(status: SearchStatus, *, messages: bool) -> dict[str, Any]:
    search = status.search
    return {
        "block": status.block,
        "up": None if search is None else not search.failures,
        "way": None if search is None else search.way,
        "because": None if search is None else search.because or None,
        "resource_graph_failure": (
            None
            if search is None or search.graph_failure is None
            else _failure(search.graph_failure, messages=messages)
        ),
        "found": status.found,
        "last_success_timestamp_seconds": status.last_success,
        "failures": [
            {"where": one.where, **_failure(one, messages=messages)}
            for one in (search.failures if search else ())
        ],
    }


def _failure(failure: Failure, *, messages: bool) -> dict[str, Any]:
    return {"reason": failure.reason, "message": failure.message if messages else None}
