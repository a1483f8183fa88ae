"""What the extensions of an instance report."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from exporter.metrics.family import STABLE, Family, InstanceFamily, Part, Row
from exporter.metrics.instance_state import ExtensionState
from exporter.metrics.normalize import Substatus, read_substatuses
from exporter.metrics.statuses import timestamp_text

_EXTENSION = "properties.instanceView.extensions[]"
_EXTENSIONS: Part[tuple[ExtensionState, ...]] = Part(attrgetter("extensions"))
_TIMES: Part[tuple[tuple[ExtensionState, ...], tuple[str | None, ...]]] = Part(
    attrgetter("extensions", "extension_times"), shared=False
)
_SUBSTATUSES: Part[tuple[Substatus, ...]] = Part(read_substatuses)


def _info(extensions: tuple[ExtensionState, ...]) -> Iterable[Row]:
    return [((entry.extension, entry.handler, entry.version), 1) for entry in extensions]


def _levels(extensions: tuple[ExtensionState, ...]) -> Iterable[Row]:
    return [
        ((entry.extension,), entry.status.level)
        for entry in extensions
        if entry.status is not None and entry.status.level is not None
    ]


def _states(extensions: tuple[ExtensionState, ...]) -> Iterable[Row]:
    return [
        ((entry.extension, entry.status.shown), 1)
        for entry in extensions
        if entry.status is not None
    ]


def _codes(extensions: tuple[ExtensionState, ...]) -> Iterable[Row]:
    return [
        ((entry.extension,), entry.status.number)
        for entry in extensions
        if entry.status is not None and entry.status.number is not None
    ]


def _timestamps(
    part: tuple[tuple[ExtensionState, ...], tuple[str | None, ...]],
) -> Iterable[Row]:
    return [
        ((entry.extension,), moment)
        for entry, time in zip(*part, strict=True)
        if (moment := timestamp_text(time)) is not None
    ]


def _substatuses(substatuses: tuple[Substatus, ...]) -> Iterable[Row]:
    return [((extension, text, state), level) for extension, text, state, level in substatuses]


FAMILIES: tuple[Family, ...] = (
    InstanceFamily(
        name="azure_vmss_extension_info",
        stability=STABLE,
        help="Handler and version of an extension; the value is 1.",
        source=(
            f"{_EXTENSION}.name",
            f"{_EXTENSION}.type",
            f"{_EXTENSION}.typeHandlerVersion",
            "properties.instanceView.extensions",
        ),
        absent_when="The instance reports no extension.",
        derivation="At most 64 names of extensions per set, then other, in all families.",
        labels=("extension", "handler", "version"),
        part=_EXTENSIONS,
        rows=_info,
    ),
    InstanceFamily(
        name="azure_vmss_extension_status_level",
        stability=STABLE,
        help="Worst level of the extension's statuses: 0 Info, 1 Warning, 2 Error.",
        source=(f"{_EXTENSION}.statuses[].level", f"{_EXTENSION}.statuses"),
        absent_when="The extension has no status with a known level.",
        derivation="Of several extensions that are other, the worst.",
        labels=("extension",),
        part=_EXTENSIONS,
        rows=_levels,
    ),
    InstanceFamily(
        name="azure_vmss_extension_state",
        stability=STABLE,
        help="1 for the state of the extension that holds.",
        source=(f"{_EXTENSION}.statuses[].code",),
        absent_when="The extension has no status: it may have only a name.",
        labels=("extension", "state"),
        part=_EXTENSIONS,
        rows=_states,
    ),
    InstanceFamily(
        name="azure_vmss_extension_status_code",
        stability=STABLE,
        help="The number at the end of the extension's code, as -1 in failed/-1.",
        source=(f"{_EXTENSION}.statuses[].code",),
        absent_when="The code has no number.",
        labels=("extension",),
        part=_EXTENSIONS,
        rows=_codes,
    ),
    InstanceFamily(
        name="azure_vmss_extension_status_timestamp_seconds",
        stability=STABLE,
        help="Time that Azure gives for the extension's status; usually absent.",
        source=(f"{_EXTENSION}.statuses[].time",),
        absent_when="The status has no time, or text that is not a time.",
        labels=("extension",),
        part=_TIMES,
        rows=_timestamps,
    ),
    InstanceFamily(
        name="azure_vmss_extension_substatus_level",
        stability=STABLE,
        help="Level of the extension's substatuses: 0 Info, 1 Warning, 2 Error.",
        source=(f"{_EXTENSION}.substatuses[].code", f"{_EXTENSION}.substatuses"),
        absent_when="The extension has no substatus with a known level.",
        derivation="StdOut of ComponentStatus/StdOut/succeeded, cut at 64 characters; at most "
        "16 per extension, the rest is other.",
        labels=("extension", "substatus", "state"),
        opt_in=True,
        part=_SUBSTATUSES,
        rows=_substatuses,
    ),
)
