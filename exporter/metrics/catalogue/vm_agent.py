"""What the VM agent of an instance reports of itself and of its extension handlers."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from exporter.metrics.family import STABLE, Family, InstanceFamily, Part, Row
from exporter.metrics.instance_state import AgentState, HandlerState
from exporter.metrics.statuses import timestamp_text

_AGENT = "properties.instanceView.vmAgent"
_HANDLER = f"{_AGENT}.extensionHandlers[]"
_REPORTED: Part[AgentState | None] = Part(attrgetter("agent"))
_TIME: Part[str | None] = Part(attrgetter("agent_time"), shared=False)
_HANDLERS: Part[tuple[HandlerState, ...]] = Part(attrgetter("handlers"))


def _info(agent: AgentState | None) -> Iterable[Row]:
    return () if agent is None else (((agent.version,), 1),)


def _level(agent: AgentState | None) -> Iterable[Row]:
    status = agent.status if agent else None
    return () if status is None or status.level is None else (((), status.level),)


def _state(agent: AgentState | None) -> Iterable[Row]:
    status = agent.status if agent else None
    return () if status is None else (((status.shown,), 1),)


def _timestamp(time: str | None) -> Iterable[Row]:
    moment = timestamp_text(time)
    return () if moment is None else (((), moment),)


def _handler_info(handlers: tuple[HandlerState, ...]) -> Iterable[Row]:
    return [((handler.handler, handler.version), 1) for handler in handlers]


def _handler_levels(handlers: tuple[HandlerState, ...]) -> Iterable[Row]:
    return [
        ((handler.handler,), handler.status.level)
        for handler in handlers
        if handler.status is not None and handler.status.level is not None
    ]


def _handler_states(handlers: tuple[HandlerState, ...]) -> Iterable[Row]:
    return [
        ((handler.handler, handler.status.shown), 1)
        for handler in handlers
        if handler.status is not None
    ]


def _handler_codes(handlers: tuple[HandlerState, ...]) -> Iterable[Row]:
    return [
        ((handler.handler,), handler.status.number)
        for handler in handlers
        if handler.status is not None and handler.status.number is not None
    ]


FAMILIES: tuple[Family, ...] = (
    InstanceFamily(
        name="azure_vmss_vm_agent_info",
        stability=STABLE,
        help="Version of the VM agent; the value is 1.",
        source=(f"{_AGENT}.vmAgentVersion", _AGENT),
        absent_when="No vmAgent, as on nearly every deallocated instance.",
        labels=("version",),
        part=_REPORTED,
        rows=_info,
    ),
    InstanceFamily(
        name="azure_vmss_vm_agent_status_level",
        stability=STABLE,
        help="Worst level of the VM agent's statuses: 0 Info, 1 Warning, 2 Error.",
        source=(f"{_AGENT}.statuses[].level", f"{_AGENT}.statuses"),
        absent_when="The agent has no status, or none with a known level.",
        part=_REPORTED,
        rows=_level,
    ),
    InstanceFamily(
        name="azure_vmss_vm_agent_state",
        stability=STABLE,
        help="1 for the state of the VM agent that holds, such as succeeded or unavailable.",
        source=(f"{_AGENT}.statuses[].code",),
        absent_when="The agent has no status.",
        labels=("state",),
        part=_REPORTED,
        rows=_state,
    ),
    InstanceFamily(
        name="azure_vmss_vm_agent_status_timestamp_seconds",
        stability=STABLE,
        help="Time that Azure gives for the VM agent's status.",
        source=(f"{_AGENT}.statuses[].time",),
        absent_when="The status has no time, or text that is not a time.",
        derivation="When the agent is unavailable Azure sends the time of its answer: alert on "
        "the state, never on the age alone.",
        part=_TIME,
        rows=_timestamp,
    ),
    InstanceFamily(
        name="azure_vmss_extension_handler_info",
        stability=STABLE,
        help="Version of an extension handler as the VM agent reports it; the value is 1.",
        source=(f"{_HANDLER}.type", f"{_HANDLER}.typeHandlerVersion"),
        absent_when="The agent reports no handler.",
        labels=("handler", "version"),
        opt_in=True,
        part=_HANDLERS,
        rows=_handler_info,
    ),
    InstanceFamily(
        name="azure_vmss_extension_handler_status_level",
        stability=STABLE,
        help="Level of the extension handler's status: 0 Info, 1 Warning, 2 Error.",
        source=(f"{_HANDLER}.status.level", _HANDLER),
        absent_when="The handler has no status with a known level.",
        derivation="NotReady comes at level Info: alert on the state. At most 64 names of handlers "
        "per set, then other, in all families.",
        labels=("handler",),
        part=_HANDLERS,
        rows=_handler_levels,
    ),
    InstanceFamily(
        name="azure_vmss_extension_handler_state",
        stability=STABLE,
        help="1 for the state of the extension handler that holds.",
        source=(f"{_HANDLER}.status.code",),
        absent_when="The handler has no status.",
        labels=("handler", "state"),
        part=_HANDLERS,
        rows=_handler_states,
    ),
    InstanceFamily(
        name="azure_vmss_extension_handler_status_code",
        stability=STABLE,
        help="The number at the end of the extension handler's code, as 21 in NotReady/21.",
        source=(f"{_HANDLER}.status.code",),
        absent_when="The code has no number.",
        labels=("handler",),
        part=_HANDLERS,
        rows=_handler_codes,
    ),
)
