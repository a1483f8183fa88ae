"""The instances of a set as the set's page shows them: small rows, read a few at a time."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from exporter.metrics.instance_state import InstanceState
from exporter.metrics.verdict import findings, rank, verdict_of
from exporter.polling.target_state import TargetState
from exporter.web.pages import links
from exporter.web.pages.texts import Since, State, label, state_of

AT_A_TIME = 20
"""Instances that are read before others run: a few milliseconds of work."""

MOST_REASONS = 8
"""Reasons that are told of an instance; its own page tells all."""

_SHORT = 6
_NUMBERS = re.compile(r"(\d+)")


@dataclass(slots=True)
class InstanceRow:
    """One instance; all texts may be shown."""

    id: str
    short: str
    page: str
    name: str
    state: State
    reasons: list[str]
    since: Since | None
    power: str
    provisioning: str
    health: str
    agent: str
    zone: str
    fault_domain: str
    update_domain: str
    order: tuple[int, list[tuple[int, str]]]


async def instance_rows(state: TargetState, now: float) -> list[InstanceRow]:
    """All instances of the last good walk, the worst first."""
    rows: list[InstanceRow] = []
    for item in state.items():
        if item is None:
            await asyncio.sleep(0)
            continue
        rows.append(_row(item.observed, now))
        if len(rows) % AT_A_TIME == 0:
            await asyncio.sleep(0)
    rows.sort(key=lambda row: row.order)
    await asyncio.sleep(0)
    return rows


def _row(observed: InstanceState, now: float) -> InstanceRow:
    found = findings(observed)
    verdict = verdict_of(found)
    # What makes it the worst is what "since" is asked of.
    since = next((one.since for one in found if one.verdict == verdict and one.since), None)
    instance_id = observed.instance_id
    name = label(observed.view.computer_name or observed.name)
    agent = observed.agent.status if observed.agent else None
    reasons = list(dict.fromkeys(one.reason for one in found))[:MOST_REASONS]
    return InstanceRow(
        id=label(instance_id),
        short=_short(instance_id),
        page=links.segment(instance_id),
        name=name,
        state=state_of(verdict),
        reasons=[label(one) for one in reasons],
        since=Since.of_azure(since, now),
        power=observed.power_state,
        provisioning=observed.provisioning_state,
        health=observed.health_state or "",
        agent=label(agent.shown) if agent else "",
        zone=label(observed.placement.zone),
        fault_domain=label(observed.placement.fault_domain),
        update_domain=label(observed.placement.update_domain),
        order=(rank(verdict), natural(instance_id)),
    )


def natural(text: str) -> list[tuple[int, str]]:
    """A key by which `2` comes before `10`."""
    parts = _NUMBERS.split(text[:300].casefold())
    return [(int(part[:18]), "") if part.isdecimal() else (-1, part) for part in parts if part]


def _short(instance_id: str) -> str:
    """The end of an id, which is what tells the machines of a Flexible set apart."""
    text = label(instance_id)
    return text if len(text) <= _SHORT else "…" + text[-_SHORT:]
