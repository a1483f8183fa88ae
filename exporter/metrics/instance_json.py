"""The instances of a set as JSON, with every status and its message: where people read why.

The JSON is made while the answer is mapped and kept compressed: messages are long, and nobody
reads them before something fails.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from isal import isal_zlib

from exporter.metrics.reading import InstanceReading
from exporter.model.instance_view import InstanceView, Status

MESSAGE_BYTES = 1024
"""Azure's messages are cut at this size: extensions put whole logs into them."""

_Part = tuple[str, str | None, Sequence[Status | None] | None]
_encoder = msgspec.json.Encoder()


class _Status(msgspec.Struct, omit_defaults=True, gc=False):
    part: str
    name: str | None = None
    code: str | None = None
    level: str | None = None
    time: str | None = None
    display_status: str | None = None
    message: str | None = None


class _Instance(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    instance_id: str
    instance_name: str
    computer_name: str | None = None
    power_state: str
    provisioning_state: str
    health_state: str | None = None
    fault_domain: str | None = None
    update_domain: str | None = None
    availability_zone: str | None = None
    vm_id: str | None = None
    vm_agent_version: str | None = None
    statuses: list[_Status]


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

    def add(self, readings: Sequence[InstanceReading]) -> None:
        """Append some instances."""
        if readings:
            described = [_describe(reading, messages=self._messages) for reading in readings]
            text = self._separator + _encoder.encode(described)[1:-1]
            self._separator = b","
            self._chunks.append(self._compressor.compress(text))

    def finish(self) -> bytes:
        """End the array; the result is one zlib stream."""
        end = b"[]" if self._separator == b"[" else b"]"
        self._chunks.append(self._compressor.compress(end) + self._compressor.flush())
        return b"".join(self._chunks)


def _describe(reading: InstanceReading, *, messages: bool) -> _Instance:
    return _Instance(
        instance_id=reading.instance_id,
        instance_name=reading.name,
        computer_name=reading.view.computer_name,
        power_state=reading.power_state,
        provisioning_state=reading.provisioning_state,
        health_state=reading.health_state,
        fault_domain=reading.placement.fault_domain,
        update_domain=reading.placement.update_domain,
        availability_zone=reading.placement.zone,
        vm_id=reading.properties.vm_id,
        vm_agent_version=reading.agent.version if reading.agent else None,
        statuses=[
            _Status(
                part,
                name,
                status.code,
                status.level,
                status.time,
                status.display_status,
                _cut(status.message) if messages else None,
            )
            for part, name, statuses in _parts(reading.view)
            for status in statuses or ()
            if status is not None
        ],
    )


def _parts(view: InstanceView) -> list[_Part]:
    """The parts of the view that have statuses: what they are, their name, the statuses."""
    parts: list[_Part] = [("instance", None, view.statuses)]
    if view.vm_health is not None:
        parts.append(("vm_health", None, (view.vm_health.status,)))
    if view.vm_agent is not None:
        parts.append(("vm_agent", None, view.vm_agent.statuses))
        parts += [
            ("extension_handler", handler.type, (handler.status,))
            for handler in view.vm_agent.extension_handlers or ()
            if handler is not None
        ]
    for extension in view.extensions or ():
        if extension is not None:
            parts.append(("extension", extension.name, extension.statuses))
            if extension.substatuses:
                parts.append(("extension_substatus", extension.name, extension.substatuses))
    parts += [("disk", disk.name, disk.statuses) for disk in view.disks or () if disk is not None]
    return parts


def _cut(message: str | None) -> str | None:
    if message is None or len(message) <= MESSAGE_BYTES // 4:
        return message
    raw = message.encode()
    if len(raw) <= MESSAGE_BYTES:
        return message
    return raw[: MESSAGE_BYTES - len("…".encode())].decode(errors="ignore") + "…"
