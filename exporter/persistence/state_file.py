"""The format of a state file: what is saved of a scale set, as bytes and back.

A file is a magic, a format version, the SHA-256 of the rest, and the rest as msgpack. It holds no
credential of the exporter's. It does hold Azure's answers unchanged, without their messages if
`web.messages` is off.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import Literal

import msgspec

from exporter.metrics.family import Family
from exporter.metrics.mapper import MappedInstances
from exporter.model.scale_set import Target
from exporter.polling.saved import Saved

FORMAT = 2
"""The version of the format: a file of any other is refused."""

Reason = Literal["damaged", "format", "other_scale_set", "future", "unreadable", "configuration"]
"""Why a file, or a part of it, is not used."""

_MAGIC = b"azvmss-state"
_HEAD = struct.Struct(f">{len(_MAGIC)}sH32s")


class Refused(Exception):  # noqa: N818 - it is an outcome, not an error of the exporter
    """A file that is not used.

    Attributes:
        reason: why, of a closed set.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


class _Contents(msgspec.Struct, kw_only=True):
    """The file's msgpack. `mapped` is msgpack too: another version may not know its form."""

    scale_set: str
    form: str
    mapped: bytes
    saved: Saved


_contents = msgspec.msgpack.Decoder(_Contents)
_mapped = msgspec.msgpack.Decoder(MappedInstances)


def form_of(*, version: str, families: Iterable[Family], settings: Iterable[str]) -> str:
    """A digest of all that the lines of a walk depend on, but for the target.

    Args:
        version: the exporter's version.
        families: the families that are served.
        settings: the settings that change how they are written.
    """
    declared = [(family.name, family.labels) for family in families]
    return _digest([version, declared, list(settings)])


def encode(saved: Saved, *, scale_set: str, form: str, target: Target) -> bytes:
    """Write a file's bytes.

    Args:
        saved: what is known of the set.
        scale_set: the set's identity, the Azure that has it included.
        form: what the lines depend on, as `form_of` tells.
        target: the target, whose labels are in the lines.

    Raises:
        UnicodeEncodeError: a text of Azure's is not Unicode.
    """
    contents = _Contents(
        scale_set=scale_set,
        form=_form(form, target),
        mapped=msgspec.msgpack.encode(saved.mapped) if saved.mapped else b"",
        saved=msgspec.structs.replace(saved, mapped=None),
    )
    body = msgspec.msgpack.encode(contents)
    return _HEAD.pack(_MAGIC, FORMAT, hashlib.sha256(body).digest()) + body


def decode(
    data: bytes, *, scale_set: str, form: str, target: Target, now: float
) -> tuple[Saved, bool]:
    """Read a file's bytes; the arguments are those of `encode`, and the Unix time.

    Lines of another form are left out; all else holds whatever the configuration. The second
    value tells whether that was so.

    Raises:
        Refused: the file must not be used.
    """
    if len(data) < _HEAD.size or not data.startswith(_MAGIC):
        raise Refused("damaged", "not a state file, or cut")
    _, version, digest = _HEAD.unpack_from(data)
    if version != FORMAT:
        raise Refused("format", f"format {version}, not {FORMAT}")
    body = memoryview(data)[_HEAD.size :]
    if hashlib.sha256(body).digest() != digest:
        raise Refused("damaged", "the checksum is wrong")
    try:
        contents = _contents.decode(body)
        if contents.scale_set != scale_set:
            raise Refused("other_scale_set", "the file is of another scale set")
        other_form = contents.form != _form(form, target)
        if contents.mapped and not other_form:
            contents.saved.mapped = _mapped.decode(contents.mapped)
    except ValueError as error:
        raise Refused("damaged", f"unexpected contents: {error}") from None
    saved = contents.saved
    for moment in (saved.last_success, saved.model_fetched):
        if moment is not None and not moment <= now:
            raise Refused("future", "the file is of the future: was the clock set back?")
    return saved, other_form


def _form(form: str, target: Target) -> str:
    named = target.scale_set
    names = (named.subscription_id, named.resource_group, named.name)
    return _digest([form, names, target.labels])


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
