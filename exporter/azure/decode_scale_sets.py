"""Azure's JSON about scale sets themselves, and about subscriptions. Pure: bytes in, values out.

Absent stays absent, and one odd item of a list never loses the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from exporter.azure.decode import NESTED, list_pieces, text_of
from exporter.azure.error_body import error_in
from exporter.azure.errors import BrokenAnswer
from exporter.azure.ownership import check_id, check_name
from exporter.model.instance_view import Count, Problem
from exporter.model.lenient_decode import decode_in_any_case, decode_leniently, mended, respelled
from exporter.model.scale_set import FoundScaleSet, ScaleSetId, ScaleSetModel, short_region


class _Sku(Struct):
    name: str | None = None
    capacity: Count | None = None


class _UpgradePolicy(Struct):
    mode: str | None = None


class _Profile(Struct, rename="camel"):
    priority: str | None = None
    eviction_policy: str | None = None


class _ScaleSetProperties(Struct, rename="camel"):
    orchestration_mode: str | None = None
    upgrade_policy: _UpgradePolicy | None = None
    virtual_machine_profile: _Profile | None = None
    provisioning_state: str | None = None


class _ScaleSet(Struct):
    id: str | None = None
    name: str | None = None
    location: str | None = None
    sku: _Sku | None = None
    tags: dict[str, str | None] | None = None
    properties: _ScaleSetProperties | None = None


class _Subscription(Struct, rename="camel"):
    subscription_id: str | None = None
    state: str | None = None


class _Group(Struct, rename="camel"):
    name: str | None = None
    managed_by: str | None = None


class _Row(Struct, rename="camel"):
    """A row of `resource_graph.SCALE_SETS`."""

    id: str | None = None
    location: str | None = None
    sku: _Sku | None = None
    tags: dict[str, str | None] | None = None
    orchestration_mode: str | None = None
    upgrade_mode: str | None = None
    has_profile: bool | int | None = None
    priority: str | None = None
    eviction_policy: str | None = None
    provisioning_state: str | None = None


class ResourceGroup(NamedTuple):
    """A resource group: its name, and whether AKS has made it for the nodes of a cluster."""

    name: str
    is_of_aks: bool


class ScaleSetPage(NamedTuple):
    """One page of a list of scale sets.

    Attributes:
        found: the readable items, in Azure's order.
        lost: the number of items whose id is not a scale set's.
        next_link: the address of the next page; None on the last one.
    """

    found: list[FoundScaleSet]
    lost: int
    next_link: str | None


_SCALE_SET = msgspec.json.Decoder(_ScaleSet)
_AKS = "/microsoft.containerservice/managedclusters/"
_GONE = frozenset(("disabled", "deleted"))


def decode_scale_sets(body: bytes) -> Iterator[ScaleSetPage]:
    """Decode one page of a list of scale sets, some items at a time; the last has the next link.

    Raises:
        BrokenAnswer: the body is not a JSON object, has no list `value`, or its `nextLink` is
            neither text nor null.
    """
    try:
        for piece, link in list_pieces(body):
            found = [one for raw in piece if (one := _found(raw)) is not None]
            yield ScaleSetPage(found, len(piece) - len(found), link)
    except RecursionError:
        raise BrokenAnswer(NESTED) from None


def decode_subscriptions(body: bytes) -> Iterator[tuple[list[str], str | None]]:
    """Decode one page of `Subscriptions_List`: the ids of those in use, as `decode_scale_sets`."""
    try:
        for piece, link in list_pieces(body):
            found = [decode_in_any_case(raw, _Subscription) for raw in piece]
            ids = [
                one.subscription_id
                for one in found
                if one and one.subscription_id and (one.state or "").casefold() not in _GONE
            ]
            yield ids, link
    except RecursionError:
        raise BrokenAnswer(NESTED) from None


def decode_resource_groups(body: bytes) -> Iterator[tuple[list[ResourceGroup], str | None]]:
    """Decode one page of `ResourceGroups_List`, as `decode_scale_sets`."""
    try:
        for piece, link in list_pieces(body):
            found = [decode_in_any_case(raw, _Group) for raw in piece]
            groups = [
                ResourceGroup(one.name, _AKS in (one.managed_by or "").casefold())
                for one in found
                if one and one.name
            ]
            yield groups, link
    except RecursionError:
        raise BrokenAnswer(NESTED) from None


def decode_row(raw: bytes) -> FoundScaleSet | None:
    """Decode a row of Resource Graph about a scale set; None where its id is not one's.

    Its empty strings are what the query made of what is absent.
    """
    row = decode_leniently(mended(raw), _Row, [])
    identity = ScaleSetId.parse((row.id or "").strip()) if row else None
    if row is None or identity is None:
        return None
    sku = row.sku or _Sku()
    model = ScaleSetModel(
        location=short_region(row.location) or None,
        sku=sku.name,
        capacity=sku.capacity,
        orchestration_mode=row.orchestration_mode or None,
        upgrade_policy=row.upgrade_mode or None,
        has_profile=bool(row.has_profile),
        priority=row.priority or None,
        eviction_policy=row.eviction_policy or None,
        provisioning_state=row.provisioning_state or None,
        tags={key: tag for key, tag in (row.tags or {}).items() if tag is not None},
    )
    return FoundScaleSet(identity, model)


def _found(raw: Raw) -> FoundScaleSet | None:
    item = _scale_set(bytes(raw), [])
    identity = ScaleSetId.parse((item.id or "").strip()) if item else None
    return FoundScaleSet(identity, _model(item)) if item and identity else None


def decode_scale_set(
    body: bytes, *, scale_set: ScaleSetId | None = None
) -> tuple[ScaleSetModel, list[Problem]]:
    """Decode `VirtualMachineScaleSets_Get`.

    Args:
        scale_set: what was asked for; None where it cannot be another one's answer.

    Raises:
        BrokenAnswer: the body is not a JSON object, or names another scale set.
    """
    problems: list[Problem] = []
    try:
        found = _scale_set(text_of(body), problems)
    except RecursionError:
        raise BrokenAnswer(NESTED) from None
    if found is None:
        raise BrokenAnswer("the answer is not a JSON object")
    if found == _ScaleSet() and (summary := error_in(body)):
        raise BrokenAnswer(f"the answer is not a scale set{summary}")
    if scale_set is not None:
        check_id(found.id or "", scale_set)
        if found.name:
            check_name(found.name, scale_set)
    return _model(found), problems


def _scale_set(body: bytes, problems: list[Problem]) -> _ScaleSet | None:
    body = respelled(body, _ScaleSet) or body
    try:
        return _SCALE_SET.decode(body)
    except (msgspec.DecodeError, UnicodeError):
        return decode_in_any_case(mended(body), _ScaleSet, problems)


def _model(found: _ScaleSet) -> ScaleSetModel:
    sku = found.sku or _Sku()
    properties = found.properties or _ScaleSetProperties()
    profile = properties.virtual_machine_profile
    return ScaleSetModel(
        location=short_region(found.location) or None,
        sku=sku.name,
        capacity=sku.capacity,
        orchestration_mode=properties.orchestration_mode,
        upgrade_policy=properties.upgrade_policy.mode if properties.upgrade_policy else None,
        has_profile=profile is not None,
        priority=profile.priority if profile else None,
        eviction_policy=profile.eviction_policy if profile else None,
        provisioning_state=properties.provisioning_state,
        tags={key: tag for key, tag in (found.tags or {}).items() if tag is not None},
    )
