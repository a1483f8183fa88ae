"""`/api/v1/scale_sets/{subscription}/{group}/{name}`: every status, messages included."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from exporter.clock import Clock
from exporter.polling.record import Record
from exporter.web.bodies import PIECE

_BITE = 4096

# Tags are not among them: metrics.tags says which of those may be shown, and where.
_FACTS = (
    "location",
    "sku",
    "capacity",
    "orchestration_mode",
    "upgrade_policy",
    "priority",
    "eviction_policy",
)


def pieces(record: Record, clock: Clock, *, messages: bool) -> Iterator[bytes]:
    """What is known of a scale set as a JSON object, in pieces.

    The instances are those of the last good poll, and null once that is too old to be served:
    no answer is not an empty set.
    """
    monotonic = clock.monotonic()
    snapshot = record.snapshot
    head = msgspec.json.encode(_head(record, clock, monotonic, messages=messages))
    # What is to be shown is settled here, not when the reader takes the first piece.
    details = snapshot.mapped.details if snapshot else b""
    return _pieces(head, details)


def _pieces(head: bytes, details: bytes) -> Iterator[bytes]:
    yield head[:-1] + b',"instances":'
    if details:
        yield from _inflate(details)
    else:
        yield b"null"
    yield b"}\n"


def _inflate(compressed: bytes) -> Iterator[bytes]:
    """Decompress in pieces; zlib's decompressor has an eighth of the memory of isal's."""
    decompressor = zlib.decompressobj()
    for begin in range(0, len(compressed), _BITE):
        rest = compressed[begin : begin + _BITE]
        while piece := decompressor.decompress(rest, PIECE):
            yield piece
            rest = decompressor.unconsumed_tail


def _head(record: Record, clock: Clock, monotonic: float, *, messages: bool) -> dict[str, Any]:
    scale_set, poll = record.target.scale_set, record.poll
    facts = record.live_facts(monotonic)
    return {
        "subscription_id": scale_set.subscription_id,
        "resource_group": scale_set.resource_group,
        "scale_set": scale_set.name,
        "labels": dict(record.target.labels),
        "up": poll.up,
        "poll_failure": (
            {"reason": poll.reason, "message": poll.message if messages else None}
            if poll.reason
            else None
        ),
        "last_success_timestamp_seconds": poll.last_success,
        "age_seconds": (
            None if poll.last_success is None else max(0.0, clock.now() - poll.last_success)
        ),
        "poll_interval_seconds": poll.interval,
        "facts": {name: getattr(facts.facts, name) for name in _FACTS} if facts else None,
    }
