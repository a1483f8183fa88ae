"""`/scale-sets/{subscription}/{group}/{name}`: the instances of a set, and what is wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.metrics.verdict import MOST_REASONS
from exporter.polling.target_state import TargetState
from exporter.web.pages import links
from exporter.web.pages.fleet_rows import SetFacts, shares_of, wrong_of
from exporter.web.pages.grid import zones_of
from exporter.web.pages.instance_rows import InstanceRow, instance_rows
from exporter.web.pages.paging import Page, asked, page_number, query_of
from exporter.web.pages.set_head import set_head
from exporter.web.pages.site import PagesSite
from exporter.web.pages.texts import PROBLEMS, STATES

PER_PAGE = 1000
"""Instances on one page: Azure's sets have no more."""


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Which instances are looked for; an empty field asks for nothing.

    Attributes:
        text: is in the names, the states or what is wrong, in any letter case.
        state: `problems`, or the state.
        page: which page of them, from 1 on.
    """

    text: str = ""
    state: str = ""
    page: int = 1

    @classmethod
    def read(cls, query: Mapping[str, str]) -> InstanceFilter:
        """The filter of an address."""
        return cls(asked(query, "q"), asked(query, "state"), page_number(query.get("page", "")))

    def wants(self, row: InstanceRow) -> bool:
        """Whether an instance is to be shown."""
        key = row.state.key
        if self.state == "problems":
            if key not in PROBLEMS:
                return False
        elif self.state and key != self.state:
            return False
        if not self.text:
            return True
        words = (row.id, row.name, row.power, row.provisioning, row.health, *row.reasons)
        return self.text.casefold() in "\n".join(words).casefold()

    def at(self, page: int) -> str:
        """The query of another page of the same instances."""
        return query_of({"q": self.text, "state": self.state}, page)


async def scale_set_page(
    site: PagesSite, state: TargetState, wanted: InstanceFilter
) -> dict[str, Any]:
    """What the template needs.

    Args:
        site: what is shown.
        state: the set.
        wanted: the instances that are looked for.
    """
    now, monotonic = site.clock.now(), site.clock.monotonic()
    facts = SetFacts.of(state, monotonic, site.tags)
    head = set_head(site, state)
    rows = await instance_rows(state, now)
    verdicts = Counter(row.state.key for row in rows)
    machines: dict[str, list[InstanceRow]] = {}
    for row in rows:
        for reason in row.reasons:
            machines.setdefault(reason, []).append(row)
    if wanted.text or wanted.state:
        rows = [row for row in rows if wanted.wants(row)]
    page = Page.of(rows, wanted.page, size=PER_PAGE)
    await asyncio.sleep(0)
    scale_set = state.target.scale_set
    return {
        "head": head,
        "wrong": [
            wrong_of(one, now) for one in facts.reasons[: MOST_REASONS + 2] if one.verdict != "off"
        ],
        "machines": machines,
        "shares": shares_of(verdicts),
        "instances": facts.instances,
        "zones": zones_of(page.items),
        "rows": page.items,
        "wanted": wanted,
        "choices": [
            ("problems", "anything wrong"),
            *((key, one.title) for key, one in STATES.items()),
        ],
        "found": len(rows),
        "page_number": page.number,
        "pages": page.pages,
        "base": scale_set_segment(state),
        "portal": links.portal_of(site.portal_url, scale_set, "", flexible=False),
        "grafana": links.grafana_of(site.grafana_url, "scale-set", scale_set),
    }


def scale_set_segment(state: TargetState) -> str:
    """The last part of the set's own path: pages of instances are below it."""
    return links.segment(state.target.scale_set.name)
