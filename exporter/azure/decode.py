"""Azure's JSON as the structures of `exporter.model`. Pure: bytes in, values out.

A page is decoded in one go. Where that fails it is read again item by item and field by field, so
that one odd instance never loses the others; one that would take long is decoded in chunks. Absent
stays absent, and what is left out is reported as a Problem.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from exporter.azure.error_body import BYTE_ORDER_MARK, error_in
from exporter.azure.errors import BrokenAnswer
from exporter.azure.ownership import check_instances
from exporter.model.instance_view import Instance, InstancePage, Problem
from exporter.model.lenient_decode import (
    decode_in_any_case,
    decode_instance,
    folded,
    identify,
    lacks_something,
    mended,
    respelled,
)
from exporter.model.scale_set import ScaleSetId

WHOLE_BYTES = 1024 * 1024
"""A page up to this size is decoded in one go: twice what Azure's 120 instances need, and 5 ms."""

PIECE_ITEMS = 120
"""Items of a larger page that are decoded at a time, if they have no more than `WHOLE_BYTES`."""

MOST_VALUES = 400_000
"""Values of a page, by its commas: twenty times what Azure's 120 instances need, and 50 ms where
one instance has them all."""

PIECE_ODD_ITEMS = 12
"""Odd items that are decoded at a time: one that is odd throughout takes 1.5 ms, not 0.01."""

PIECE_LISTED = 50
"""Items of a list that is not of instances that are decoded at a time: some milliseconds."""

_SLICE = 4 * 1024 * 1024
# What a page with a link has beside its items and the commas between them, at the least.
_FRAME_WITH_LINK = len('{"value":[],"nextLink":""}')
_NO_UTF8 = "the answer is not valid UTF-8"


class _Page(Struct, rename="camel"):
    value: list[Instance]
    next_link: str | None = None


class _Source(Struct):
    value: list[Raw]


_SOURCE = msgspec.json.Decoder(_Source)
NESTED = "the answer is nested too deeply"

_PAGE = msgspec.json.Decoder(_Page)
_ENVELOPE = msgspec.json.Decoder(dict[str, Raw])
_ITEMS = msgspec.json.Decoder(list[Raw])
_LINK = msgspec.json.Decoder(str | None)


def decode_instance_page(
    body: bytes, *, scale_set: ScaleSetId | None = None
) -> Iterator[InstancePage]:
    """Decode one page of `VirtualMachineScaleSetVMs_List`, a large one in chunks.

    An item is left out whole only if it is not an object, or has neither `id` nor `instanceId`.
    Where `instanceId` is missing, the last part of `id` stands for it.

    Args:
        scale_set: what was asked for; None where it cannot be another one's answer.

    Yields:
        The page, or if it takes longer than Azure's pages do, its items in their order, some at a
        time: who takes them can do something else in between. The last one has the next link.

    Raises:
        BrokenAnswer: the body is not a JSON object, has no list `value`, its `nextLink` is neither
            text nor null, or the `id` of an item names another scale set.
    """
    for page in _decoded(body):
        if scale_set is not None:
            check_instances(page.instances, scale_set)
        yield page


def decode_virtual_machine(body: bytes) -> Instance:
    """Decode `VirtualMachines_Get`.

    Raises:
        BrokenAnswer: the body is not a JSON object.
    """
    try:
        found = decode_in_any_case(text_of(body), Instance)
    except RecursionError:
        raise BrokenAnswer(NESTED) from None
    if found is None:
        raise BrokenAnswer("the answer is not a JSON object")
    return found


def _decoded(body: bytes) -> Iterator[InstancePage]:
    try:
        if len(body) > WHOLE_BYTES:
            yield from _checked(body)
            yield from _chunks(body.removeprefix(BYTE_ORDER_MARK))
            return
        text = text_of(body)
        page = _whole(text)
        if page is not None:
            yield page
        else:
            yield from _chunks(text)
    except RecursionError:
        raise BrokenAnswer(NESTED) from None


def _whole(text: bytes) -> InstancePage | None:
    """A page in one go; None where that fails."""
    try:
        page = _PAGE.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return None
    source = _SOURCE.decode(text).value
    if _is_spelled_otherwise(page, source, text):
        return None
    return _page(page.value, [], lost=0, next_link=page.next_link, source=source)


def _is_spelled_otherwise(page: _Page, source: Sequence[Raw], text: bytes) -> bool:
    """Whether names of fields have another letter case, as far as a quick look tells.

    Whoever spells one item otherwise spells all, so the first and the last one are looked at, and
    those that lack something.
    """
    if page.next_link is None and _has_link(source, text):
        return True
    last = len(page.value) - 1
    return any(
        respelled(source[number], Instance) is not None
        for number, instance in enumerate(page.value)
        if number in {0, last} or lacks_something(instance)
    )


def _has_link(items: Sequence[Raw], text: bytes) -> bool:
    """Whether a page has a link to the next one, however its name is spelled."""
    beside = len(text) - sum([len(memoryview(item)) for item in items])
    if beside < _FRAME_WITH_LINK + max(0, len(items) - 1):
        # Too small for one: most pages are not parsed twice.
        return False
    link = envelope_of(mended(text)).get("nextlink")
    return link is not None and bytes(link).startswith(b'"')


def _checked(body: bytes) -> Iterator[InstancePage]:
    """Check that a long body is UTF-8, and that reading it takes no time without end.

    What a body costs goes by the number of values in it more than by its length.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    values = 0
    try:
        for begin in range(0, len(body), _SLICE):
            part = body[begin : begin + _SLICE]
            decoder.decode(part, final=begin + _SLICE >= len(body))
            values += part.count(b",")
            if values > MOST_VALUES:
                raise BrokenAnswer(f"the answer has more than {MOST_VALUES} values")
            if len(body) > _SLICE:
                yield _nothing()
    except UnicodeDecodeError:
        raise BrokenAnswer(_NO_UTF8) from None


def _chunks(text: bytes) -> Iterator[InstancePage]:
    """The items of a page, each decoded for itself, some at a time; at least one chunk."""
    text = mended(text)
    if len(text) > _SLICE:
        yield _nothing()
    envelope = envelope_of(text)
    if len(text) > _SLICE:
        yield _nothing()
    waiting = deque(_items_of(envelope, text))
    ends = (waiting[0], waiting[-1]) if waiting else ()
    respell = any(respelled(raw, Instance) is not None for raw in ends)
    next_link = _next_link_of(envelope)
    while True:
        instances: list[Instance] = []
        problems: list[Problem] = []
        raws: list[Raw] = []
        size = odd = 0
        while waiting and len(raws) < PIECE_ITEMS and odd < PIECE_ODD_ITEMS and size < WHOLE_BYTES:
            raw = waiting.popleft()
            raws.append(raw)
            size += len(memoryview(raw))
            problems_of_item: list[Problem] = []
            instance = decode_instance(raw, problems_of_item, respell=respell)
            odd += bool(problems_of_item)
            if instance is None:
                problems.append(Problem(path="", reason="no object"))
            else:
                instances.append(instance)
                if identify(instance):
                    problems += problems_of_item
        yield _page(
            instances,
            problems,
            lost=len(raws) - len(instances),
            next_link=None if waiting else next_link,
            source=raws if size <= 2 * WHOLE_BYTES else None,
        )
        if not waiting:
            return


def envelope_of(text: bytes) -> dict[str, Raw]:
    """The fields of an answer as their JSON texts, by their names in lower case.

    Raises:
        BrokenAnswer: it is not a JSON object.
    """
    try:
        return folded(_ENVELOPE.decode(text))
    except msgspec.ValidationError:
        raise BrokenAnswer("the answer is not a JSON object") from None
    except (msgspec.DecodeError, UnicodeError):
        raise BrokenAnswer("the answer is not valid JSON") from None


def list_of(body: bytes) -> tuple[list[Raw], str | None]:
    """The items of one page of a list as their JSON texts, and the address of the next page.

    Raises:
        BrokenAnswer: the body is not a JSON object, has no list `value`, or its `nextLink` is
            neither text nor null.
    """
    try:
        envelope = envelope_of(mended(text_of(body)))
        return _items_of(envelope, body), _next_link_of(envelope)
    except RecursionError:
        raise BrokenAnswer(NESTED) from None


def list_pieces(body: bytes) -> Iterator[tuple[list[Raw], str | None]]:
    """The items of one page of a list, some at a time; the last piece has the next link.

    Who takes them can do something else in between. There is one piece at least.

    Raises:
        BrokenAnswer: as `list_of`.
    """
    items, link = list_of(body)
    waiting = deque(items)
    while True:
        piece: list[Raw] = []
        size = 0
        while waiting and len(piece) < PIECE_LISTED and size < WHOLE_BYTES:
            piece.append(waiting.popleft())
            size += len(memoryview(piece[-1]))
        yield piece, None if waiting else link
        if not waiting:
            return


def _items_of(envelope: Mapping[str, Raw], text: bytes) -> list[Raw]:
    """A page as the JSON text of its items."""
    if "value" not in envelope:
        raise BrokenAnswer(f"the answer has no value: it is not a list{error_in(text)}")
    try:
        return _ITEMS.decode(envelope["value"])
    except msgspec.DecodeError:
        raise BrokenAnswer("the answer's value is not a list") from None


def _next_link_of(envelope: Mapping[str, Raw]) -> str | None:
    """The address of the next page; None on the last one."""
    try:
        return _LINK.decode(envelope["nextlink"]) if "nextlink" in envelope else None
    except msgspec.DecodeError:
        # Taking it for the last page would make instances disappear.
        raise BrokenAnswer("the answer's nextLink is not a string") from None


def _nothing() -> InstancePage:
    """An empty page, at which the caller may yield."""
    return InstancePage(instances=[], problems=[], source=[])


def _page(
    found: list[Instance],
    problems: list[Problem],
    *,
    lost: int,
    next_link: str | None,
    source: list[Raw] | None,
) -> InstancePage:
    instances = [instance for instance in found if identify(instance)]
    nameless = len(found) - len(instances)
    problems += [Problem(path="", reason="no id and no instanceId")] * nameless
    return InstancePage(
        instances=instances,
        problems=problems,
        lost=lost + nameless,
        next_link=next_link or None,
        source=source,
    )


def text_of(body: bytes) -> bytes:
    """The body without a byte order mark, once it is known to be UTF-8.

    msgspec looks at the fields it reads only, and an answer is never half valid.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        raise BrokenAnswer(_NO_UTF8) from None
    return body.removeprefix(BYTE_ORDER_MARK)
