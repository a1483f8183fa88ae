"""`/api/v1/scale_sets/{subscription}/{group}/{name}`: every status, messages included."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from exporter.clock import Clock
from exporter.polling.record import Record

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


def describe(record: Record, clock: Clock, *, messages: bool) -> tuple[dict[str, Any], bytes]:
    """What is known of a scale set, and its instances as a compressed JSON array.

    The instances are those of the last good poll, and null once that is too old to be served:
    no answer is not an empty set.
    """
    scale_set, poll = record.target.scale_set, record.poll
    snapshot = record.live_snapshot(clock.monotonic())
    facts = record.live_facts(clock.monotonic())
    head = {
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
    return head, snapshot.mapped.details if snapshot else b""


def encode(head: dict[str, Any], details: bytes) -> bytes:
    """Put head and instances together; slow for a large set, so not for the event loop."""
    instances = zlib.decompress(details) if details else b"null"
    return msgspec.json.encode(head)[:-1] + b',"instances":' + instances + b"}\n"
