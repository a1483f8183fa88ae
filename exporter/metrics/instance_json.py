"""The instances of a set as JSON: Azure's own item of each, and how the exporter reads it.

Azure's items are kept unchanged, compressed, and described on request: messages are long, and are
rarely read before something fails. What may be shown is decided at the request too.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from isal import isal_zlib
from msgspec import Raw

from exporter.exposition.text_format import cut_id
from exporter.metrics.instance_state import InstanceState
from exporter.metrics.normalize import normalize
from exporter.metrics.trimming import batches
from exporter.model.instance_view import Instance, InstancePage, InstanceView, Status
from exporter.model.lenient_decode import decode_instance, identify, mended
from exporter.model.scale_set import ScaleSetId
from exporter.redaction import MASK, is_secret_name, plain, redact

MESSAGE_BYTES = 1024
"""Azure's messages are cut at this size, as are other texts: extensions put whole logs there."""

CHUNK = 32 * 1024
"""Bytes of Azure's text that are kept, and later described, at a time: some eight instances. A
reader that is slow holds this much."""

CHUNK = 8 * 1024
"""Bytes after which a chunk of the JSON ends: under a millisecond of work."""

_DEEPEST = 24
_MOST_ELEMENTS = 1000
_LONGEST_NAME = 256
_LARGEST = 2**63
# A message with its key; the quote before it is not part of a text, where it would be escaped.
_MESSAGE = re.compile(rb'essage"\s*:\s*"[^"\\]*(?:\\.[^"\\]*)*"')
_encoder = msgspec.json.Encoder()
# Ends an array in a stream. Valid JSON never contains it, and the decoder has checked that.
_END = b"\0"


_RAWS = msgspec.json.Decoder(list[Raw])


Part = tuple[str, str | None, Sequence[Status | None] | None]
"""A part of an instance view that has statuses: what it is, its name, the statuses."""


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
    instance_name: str | None
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
    azure: Any = None


class ItemStore:
    """Azure's items of one walk as they came, compressed at once.

    They are one stream of JSON arrays, so that what is alike in all instances costs next to
    nothing, and in the end one object: many small ones would leave holes between them.

    Args:
        messages: whether Azure's messages are kept (`web.messages`).
    """

    def __init__(self, *, messages: bool = True) -> None:
        self._messages = messages
        self._compressor = isal_zlib.compressobj(1)
        self._compressed: list[bytes] = []

    def add(self, page: InstancePage) -> None:
        """Append the items of a page."""
        if not page.instances:
            return
        source: Iterable[Raw | bytes] | None = page.source
        if source is None:
            # Too long to be kept as it came; what was read of it is shorter.
            source = (
                _encoder.encode(_shown(msgspec.to_builtins(instance), messages=True))
                for instance in page.instances
            )
        waiting: list[Raw | bytes] = []
        size = 0
        for raw in source:
            waiting.append(raw)
            size += len(memoryview(raw))
            if size >= CHUNK:
                self._append(waiting)
                waiting, size = [], 0
        if waiting:
            self._append(waiting)

    def _append(self, items: Sequence[Raw | bytes]) -> None:
        text = b"[%b]" % b",".join(items)
        if not self._messages:
            text = _MESSAGE.sub(b'essage":null', text)
        self._compressed.append(self._compressor.compress(text + _END))

    def finish(self) -> bytes:
        """End the stream. The result is what `describe` takes."""
        self._compressed.append(self._compressor.flush())
        return b"".join(self._compressed)


def describe(
    stored: bytes,
    *,
    scale_set: ScaleSetId,
    spellings: Mapping[str, str],
    messages: bool,
) -> Iterator[bytes]:
    """A JSON array of the instances, in chunks of a few milliseconds' work, some of them empty.

    Args:
        stored: the stream of an `ItemStore`; empty for none.
        scale_set: whose instances, in the spelling that is served.
        spellings: those of the instance ids, by the id without letter case.
        messages: whether Azure's messages are shown (`web.messages`).
    """
    text = bytearray(b"[")
    separator = b""
    for item in read_items(stored, scale_set=scale_set, spellings=spellings):
        if item is None:
            yield b""
            continue
        azure = item.azure()
        described = _describe(item.observed, messages=messages)
        described.azure = _shown(azure, messages=messages)
        text += separator
        text += _encoder.encode(described)
        separator = b","
        if len(text) >= CHUNK:
            yield bytes(text)
            text.clear()
    yield bytes(text) + b"]"


class Item(NamedTuple):
    """One of Azure's items, as the exporter reads it.

    Attributes:
        observed: how it is read; of an item beyond all measure only what counts.
        raw: its JSON text.
        was_cut: whether it is beyond all measure.
    """

    observed: InstanceState
    raw: Raw
    instance: Instance
    was_cut: bool

    def azure(self) -> Any:
        """The item as plain values; None for a number or a depth that cannot be shown."""
        return msgspec.to_builtins(self.instance) if self.was_cut else _generic(self.raw)


def read_items(
    stored: bytes,
    *,
    scale_set: ScaleSetId,
    spellings: Mapping[str, str],
    wanted: str | None = None,
) -> Iterator[Item | None]:
    """The items of a walk, each once; None where the caller should let others run.

    Args:
        stored: the stream of an `ItemStore`; empty for none.
        scale_set: whose instances, in the spelling that is served.
        spellings: those of the instance ids, by the id without letter case.
        wanted: the id of the only instance to read, as it is served, in any letter case; None
            for all.
    """
    seen: set[str] = set()
    wanted = wanted and wanted.casefold()
    for array in _arrays(stored):
        for raw in _RAWS.decode(array):
            instance = decode_instance(raw, [], respell=True)
            if instance is None or not identify(instance):
                continue
            azure_id = instance.instance_id or ""
            key = cut_id(azure_id.casefold())
            spelling = spellings.get(key) or cut_id(azure_id)
            if key in seen or wanted not in {None, spelling.casefold()}:
                continue
            seen.add(key)
            was_cut = False
            for batch in batches((instance,)):
                if not batch:
                    # It is being cut down, and so is Azure's item.
                    was_cut = True
                    yield None
            observed = normalize(instance, scale_set=scale_set, instance_id=spelling, full=True)
            yield Item(observed, raw, instance, was_cut)
        if wanted is not None:
            yield None


def _arrays(stored: bytes) -> Iterator[bytes]:
    """The JSON arrays of a stream; no more is inflated than the one that is needed next."""
    # It has an eighth of the memory of isal's decompressor.
    decompressor = zlib.decompressobj()
    text = bytearray()
    for begin in range(0, len(stored), CHUNK):
        # A short part of the stream at a time: what is not consumed of it is copied each time.
        rest = stored[begin : begin + CHUNK]
        while rest:
            looked_at = len(text)
            text += decompressor.decompress(rest, CHUNK)
            rest = decompressor.unconsumed_tail
            while (end := text.find(_END, looked_at)) >= 0:
                yield bytes(text[:end])
                del text[: end + 1]
                looked_at = 0


def _generic(item: Raw | bytes) -> Any:
    """An item as plain values; None for a number or a depth that cannot be shown."""
    try:
        return msgspec.json.decode(mended(bytes(item)))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


class _Name(NamedTuple):
    shown: str
    is_message: bool
    is_secret: bool


def _shown(value: Any, *, messages: bool, depth: int = 0) -> Any:
    """A value of Azure's as people may see it: no secrets, no text without end."""
    if isinstance(value, str):
        return _cut(redact(value, longest=MESSAGE_BYTES))
    if isinstance(value, dict | list) and depth > _DEEPEST:
        return None
    if isinstance(value, dict):
        shown = {}
        for key, inner in islice(value.items(), _MOST_ELEMENTS):
            name = _name(key[:_LONGEST_NAME])
            if inner and name.is_secret:
                shown[name.shown] = MASK
            elif messages or not name.is_message:
                shown[name.shown] = _shown(inner, messages=messages, depth=depth + 1)
        return shown
    if isinstance(value, list):
        kept = value[:_MOST_ELEMENTS]
        return [_shown(inner, messages=messages, depth=depth + 1) for inner in kept]
    is_large = isinstance(value, int) and not -_LARGEST <= value < _LARGEST
    return str(value) if is_large else value


@lru_cache(maxsize=1024)
def _name(key: str) -> _Name:
    """What there is to know of a field's name; all instances have the same ones."""
    return _Name(plain(key), key[-7:].casefold() == "message", is_secret_name(key))


def _describe(observed: InstanceState, *, messages: bool) -> _Instance:
    return _Instance(
        instance_id=observed.instance_id,
        instance_name=readable(observed.name),
        computer_name=readable(observed.view.computer_name),
        power_state=observed.power_state,
        provisioning_state=observed.provisioning_state,
        health_state=observed.health_state,
        fault_domain=observed.placement.fault_domain,
        update_domain=observed.placement.update_domain,
        availability_zone=observed.placement.zone,
        vm_id=readable(observed.properties.vm_id),
        vm_agent_version=readable(observed.agent.version) if observed.agent else None,
        statuses=[
            _Status(
                part,
                readable(name),
                readable(status.code),
                readable(status.level),
                readable(status.time),
                readable(status.display_status),
                readable(status.message) if messages else None,
            )
            for part, name, statuses in parts_of(observed.view)
            for status in statuses or ()
            if status is not None
        ],
    )


def readable(text: str | None) -> str | None:
    """A text of Azure's as people may see it: no secrets, no text without end."""
    return None if text is None else _cut(redact(text, longest=MESSAGE_BYTES))


def parts_of(view: InstanceView) -> list[Part]:
    """The parts of the view that have statuses: what they are, their name, the statuses."""
    parts: list[Part] = [("instance", None, view.statuses)]
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


def _cut(text: str) -> str:
    if len(text) <= MESSAGE_BYTES // 4:
        return text
    raw = text.encode(errors="replace")
    if len(raw) <= MESSAGE_BYTES:
        return text
    return raw[: MESSAGE_BYTES - len("…".encode())].decode(errors="ignore") + "…"
