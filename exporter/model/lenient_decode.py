"""Field by field reading of what a typed decoder refuses: one odd field costs itself only.

Generic over the structures of `exporter.model`: a field of a wrong type counts as absent and is
reported, a list loses its odd elements only, and the rest stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar, get_args, get_origin

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import FieldInfo

from exporter.model.instance_view import Instance, Problem

MOST_ODD_ELEMENTS = 1000
"""Elements of a list with an odd one that are read one by one; Azure's lists have some ten."""

# An item of Azure's has some 4 KB; this takes 10 ms.
_LONGEST_RESPELLED = 1024 * 1024

_T = TypeVar("_T")
_StructT = TypeVar("_StructT", bound=Struct)

_INSTANCE = msgspec.json.Decoder(Instance)
# Escapes of a JSON string, read in order so that an escaped backslash is not taken for one.
_ESCAPE = re.compile(
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\."
)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Raw])
# An element that is left out of its list.
_DROPPED = object()


def decode_instance(
    item: Raw | bytes, problems: list[Problem], *, respell: bool = False
) -> Instance | None:
    """Read one item of the list: by the typed decoder where it can, for the odd ones are few.

    Args:
        item: its JSON text.
        problems: where a report of each field left out is put.
        respell: whether to look at the letter case of all field names, which takes longer than
            all else; without it that is done where something is missing.

    Returns:
        The instance; None where the item is not an object, which the caller reports.
    """
    if respell:
        item = respelled(item, Instance) or item
    try:
        instance = _INSTANCE.decode(item)
    except (msgspec.DecodeError, UnicodeError):
        return decode_in_any_case(item, Instance, problems)
    if not respell and lacks_something(instance):
        again = respelled(item, Instance)
        if again is not None:
            return decode_instance(again, problems, respell=True)
    return instance


_OF_UNIFORM = "/virtualmachinescalesets/"


def lacks_something(instance: Instance) -> bool:
    """Whether something is missing that Azure always sends: its name may be spelled otherwise."""
    view = instance.properties.instance_view if instance.properties else None
    if view is None or not view.statuses:
        return True
    # A virtual machine of a Flexible set has no instanceId.
    of_set = instance.id is None or _OF_UNIFORM in instance.id.casefold()
    if instance.instance_id is None and of_set:
        return True
    return any(status is not None and status.code is None for status in view.statuses)


def respelled(text: Raw | bytes, kind: type[Struct]) -> bytes | None:
    """The JSON text of a structure with the names of its fields in the letter case that is known.

    None where they have it already, and where the text cannot be read or is far too long.
    """
    if len(memoryview(text)) > _LONGEST_RESPELLED:
        return None
    try:
        value = msgspec.json.decode(text)
        return msgspec.json.encode(value) if _respell(value, kind) else None
    except (msgspec.MsgspecError, UnicodeError, OverflowError, RecursionError):
        return None


def folded(found: Mapping[str, _T]) -> dict[str, _T]:
    """An object by its names without letter case; of two that differ in it the first counts."""
    by_name: dict[str, _T] = {}
    for name, value in found.items():
        by_name.setdefault(name.casefold(), value)
    return by_name


def identify(instance: Instance) -> bool:
    """Fill in a missing `instanceId` from `id`; whether there is one in the end."""
    if not (instance.instance_id and instance.instance_id.strip()):
        instance.instance_id = (instance.id or "").strip().rstrip("/").rpartition("/")[2] or None
    return instance.instance_id is not None


def mended(body: bytes) -> bytes:
    """The JSON text with every half of a surrogate pair replaced by U+FFFD.

    A message cut in the middle of an emoji has one, which JSON allows, and msgspec refuses the
    whole page for it.
    """
    if not _SURROGATE.search(body):
        return body
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[2] else found[0], body)


def decode_leniently(
    raw: Raw | bytes, kind: type[_StructT], problems: list[Problem], *, path: str = ""
) -> _StructT | None:
    """Read an object, leaving out the fields that cannot be read.

    Args:
        raw: the JSON text of one value.
        kind: the structure to read it as.
        problems: where a report of each field left out is put.
        path: where the value stands, for the reports.

    Returns:
        The structure; None where the value is not an object, which the caller reports.
    """
    try:
        found = _OBJECT.decode(raw)
    except (msgspec.DecodeError, UnicodeError):
        return None
    return _filled(kind, found, problems, path)


def decode_in_any_case(
    text: Raw | bytes, kind: type[_StructT], problems: list[Problem] | None = None
) -> _StructT | None:
    """As `decode_leniently`, whatever the letter case of the fields' names."""
    found = [] if problems is None else problems
    return decode_leniently(respelled(text, kind) or text, kind, found)


def _respell(value: Any, kind: type[Struct]) -> bool:
    if isinstance(value, list):
        return sum([_respell(entry, kind) for entry in value]) > 0
    if not isinstance(value, dict):
        return False
    changed = False
    known = _known_names(kind)
    for name in list(value):
        spelling, inner = known.get(name.casefold(), (name, None))
        if spelling != name:
            if spelling in value:
                continue
            value[spelling] = value.pop(name)
            changed = True
        if inner is not None:
            changed |= _respell(value[spelling], inner)
    return changed


def _filled(
    kind: type[_StructT], found: Mapping[str, Raw], problems: list[Problem], path: str
) -> _StructT:
    fields: dict[str, Any] = {}
    for field in _fields_of(kind):
        raw = found.get(field.encode_name)
        if raw is None:
            continue
        here = f"{path}.{field.encode_name}" if path else field.encode_name
        value = _value(raw, field.type, problems, here)
        if value is not _DROPPED:
            fields[field.name] = value
    return kind(**fields)


def _value(raw: Raw, hint: Any, problems: list[Problem], path: str) -> Any:
    """The value as the type says; `_DROPPED` with a report where it is of another type."""
    try:
        return _decoder(hint).decode(raw)
    except (msgspec.DecodeError, UnicodeError) as error:
        reason = _reason(error)
    inner = next((part for part in get_args(hint) if _is_container(part)), hint)
    try:
        if get_origin(inner) is list:
            return _items(raw, get_args(inner)[0], problems, f"{path}[]")
        if get_origin(inner) is dict:
            return _entries(raw, get_args(inner)[1], problems, f"{path}[]")
        if isinstance(inner, type) and issubclass(inner, Struct):
            return _filled(inner, _OBJECT.decode(raw), problems, path)
    except (msgspec.DecodeError, UnicodeError) as error:
        reason = _reason(error)
    problems.append(Problem(path=path, reason=reason))
    return _DROPPED


def _items(raw: Raw, hint: Any, problems: list[Problem], path: str) -> list[Any]:
    items = _LIST.decode(raw)
    if len(items) > MOST_ODD_ELEMENTS:
        problems.append(Problem(path=path, reason=f"more than {MOST_ODD_ELEMENTS}, and odd ones"))
    values = (_value(item, hint, problems, path) for item in items[:MOST_ODD_ELEMENTS])
    return [value for value in values if value is not _DROPPED]


def _entries(raw: Raw, hint: Any, problems: list[Problem], path: str) -> dict[str, Any]:
    found = _OBJECT.decode(raw)
    values = {key: _value(item, hint, problems, path) for key, item in found.items()}
    return {key: value for key, value in values.items() if value is not _DROPPED}


def _is_container(hint: Any) -> bool:
    return get_origin(hint) in (list, dict) or (isinstance(hint, type) and issubclass(hint, Struct))


def _reason(error: Exception) -> str:
    """What msgspec expected and got; its messages never hold the value itself."""
    if isinstance(error, UnicodeError):
        return "no valid text"
    return str(error).partition(" - at ")[0]


@lru_cache(maxsize=256)
def _fields_of(kind: type[Struct]) -> tuple[FieldInfo, ...]:
    return msgspec.structs.fields(kind)


@lru_cache(maxsize=256)
def _known_names(kind: type[Struct]) -> dict[str, tuple[str, type[Struct] | None]]:
    """The fields by their names without letter case: the spelling, and the structure in them."""
    return {
        field.encode_name.casefold(): (field.encode_name, _structure_in(field.type))
        for field in _fields_of(kind)
    }


def _structure_in(hint: Any) -> type[Struct] | None:
    if isinstance(hint, type) and issubclass(hint, Struct):
        return hint
    return next(filter(None, map(_structure_in, get_args(hint))), None)


@lru_cache(maxsize=256)
def _decoder(hint: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(hint)
