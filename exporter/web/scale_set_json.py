"""`/api/v1/scale_sets`, and of one of them every status, messages included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import msgspec

from exporter.metrics.instance_json import describe
from exporter.polling.target_state import TargetState
from exporter.runtime.clock import Clock

# Tags are not among them: metrics.tags says which of those may be shown, and where.
_MODEL_FIELDS = (
    "location",
    "sku",
    "capacity",
    "orchestration_mode",
    "upgrade_policy",
    "priority",
    "eviction_policy",
)


def chunks(state: TargetState, clock: Clock, *, messages: bool) -> AsyncIterator[bytes]:
    """What is known of a scale set as a JSON object, in chunks.

    The instances are those of the last good poll, and null once that is too old to be served:
    no answer is not an empty set.
    """
    monotonic = clock.monotonic()
    snapshot = state.data.snapshot
    head = msgspec.json.encode(_head(state, clock, monotonic, messages=messages))
    # What is to be shown is settled here, not when the client takes the first chunk.
    instances: Iterator[bytes] = iter((b"null",))
    if snapshot:
        instances = describe(
            snapshot.mapped.details,
            scale_set=state.target.scale_set,
            spellings=state.data.memory.spellings,
            messages=messages,
        )
    return _chunks(head, instances)


async def list_chunks(
    states: Sequence[TargetState], clock: Clock, *, messages: bool, offset: int, limit: int
) -> AsyncIterator[bytes]:
    """What is known of scale sets without their instances, as a JSON object, in chunks.

    Args:
        states: all of them.
        messages: whether Azure's messages are shown.
        offset: how many are left out at the beginning.
        limit: how many are shown at most; `next_offset` tells where the others begin.
    """
    shown = states[offset : offset + limit]
    yield b'{"scale_sets":['
    for number, state in enumerate(shown):
        head = _head(state, clock, clock.monotonic(), messages=messages)
        yield (b"," if number else b"") + msgspec.json.encode(head)
        await asyncio.sleep(0)
    following = offset + len(shown) if offset + len(shown) < len(states) else None
    yield b'],"next_offset":' + msgspec.json.encode(following) + b"}\n"


async def _chunks(head: bytes, instances: Iterator[bytes]) -> AsyncIterator[bytes]:
    yield head[:-1] + b',"instances":'
    for chunk in instances:
        if chunk:
            yield chunk
        # Each chunk is made now: yield before the next one.
        await asyncio.sleep(0)
    yield b"}\n"


def _head(state: TargetState, clock: Clock, monotonic: float, *, messages: bool) -> dict[str, Any]:
    scale_set, poll = state.target.scale_set, state.data.poll
    model = state.data.live_model(monotonic)
    return {
        "subscription_id": scale_set.subscription_id,
        "resource_group": scale_set.resource_group,
        "scale_set": scale_set.name,
        "labels": dict(state.target.labels),
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
        "instance_count": state.data.snapshot.mapped.instances if state.data.snapshot else None,
        "facts": {name: getattr(model.model, name) for name in _MODEL_FIELDS} if model else None,
    }
