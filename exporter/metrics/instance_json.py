"""The instances of a set as JSON, with every status and its message: where people read why.

The JSON is made while the answer is mapped and kept compressed: messages are long, and nobody
reads them before something fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from isal import isal_zlib

from exporter.metrics.reading import InstanceReading
from exporter.model.instance_view import Status

MESSAGE_BYTES = 1024
"""Azure's messages are cut at this size: extensions put whole logs into them."""

_encoder = msgspec.json.Encoder()


class InstanceArray:
    """A JSON array of instances that grows, compressed at once (zlib).

    Args:
        messages: whether Azure's messages are in it (`web.messages`).
    """

    def __init__(self, *, messages: bool = True) -> None:
        self._messages = messages
        self._compressor = isal_zlib.compressobj(1)
        self._chunks: list[bytes] = []
        self._separator = b"["

    def add(self, reading: InstanceReading) -> None:
        """Append one instance."""
        text = self._separator + _encoder.encode(_describe(reading, messages=self._messages))
        self._separator = b","
        self._chunks.append(self._compressor.compress(text))

    def finish(self) -> bytes:
        """End the array; the result is one zlib stream."""
        end = b"[]" if self._separator == b"[" else b"]"
        self._chunks.append(self._compressor.compress(end) + self._compressor.flush())
        return b"".join(self._chunks)


def _describe(reading: InstanceReading, *, messages: bool) -> dict[str, Any]:
    view = reading.view
    facts = {
        "instance_id": reading.instance_id,
        "instance_name": reading.name,
        "computer_name": view.computer_name,
        "power_state": reading.power_state,
        "provisioning_state": reading.provisioning_state,
        "health_state": reading.health_state,
        "fault_domain": reading.fault_domain,
        "update_domain": reading.update_domain,
        "availability_zone": reading.zone,
        "vm_id": reading.properties.vm_id,
        "vm_agent_version": reading.agent_version,
    }
    described: dict[str, Any] = {key: value for key, value in facts.items() if value is not None}
    described["statuses"] = list(_statuses(reading))
    if not messages:
        for status in described["statuses"]:
            status.pop("message", None)
    return described


def _statuses(reading: InstanceReading) -> Iterator[dict[str, Any]]:
    view = reading.view
    yield from _named("instance", None, view.statuses)
    if view.vm_health is not None:
        yield from _named("vm_health", None, [view.vm_health.status])
    if view.vm_agent is not None:
        yield from _named("vm_agent", None, view.vm_agent.statuses)
        for handler in view.vm_agent.extension_handlers or ():
            if handler is not None:
                yield from _named("extension_handler", handler.type, [handler.status])
    for extension in view.extensions or ():
        if extension is not None:
            yield from _named("extension", extension.name, extension.statuses)
            yield from _named("extension_substatus", extension.name, extension.substatuses)
    for disk in view.disks or ():
        if disk is not None:
            yield from _named("disk", disk.name, disk.statuses)


def _named(
    part: str, name: str | None, statuses: Iterable[Status | None] | None
) -> Iterator[dict[str, Any]]:
    for status in statuses or ():
        if status is None:
            continue
        fields = {
            "part": part,
            "name": name,
            "code": status.code,
            "level": status.level,
            "time": status.time,
            "display_status": status.display_status,
            "message": _cut(status.message),
        }
        yield {key: value for key, value in fields.items() if value is not None}


def _cut(message: str | None) -> str | None:
    if message is None or len(message) <= MESSAGE_BYTES // 4:
        return message
    raw = message.encode()
    if len(raw) <= MESSAGE_BYTES:
        return message
    return raw[: MESSAGE_BYTES - len("…".encode())].decode(errors="ignore") + "…"
