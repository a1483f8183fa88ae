"""The form of the fleet's page: which sets are looked for, and which page of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.web.pages.fleet_rows import SetFacts
from exporter.web.pages.paging import asked, page_number, query_of


@dataclass(frozen=True, slots=True)
class FleetFilter:
    """What a set must be like to be shown; an empty field asks for nothing.

    Attributes:
        text: is in its names, region, tags, or in what is wrong, in any letter case.
        subscription: its subscription.
        group: is in the name of its resource group.
        tag: `name=value`, or the name alone; of the tags that may be shown.
        state: `problems`, `failing`, `new`, or a state that one of its instances is in.
        page: which page of them, from 1 on.
    """

    text: str = ""
    subscription: str = ""
    group: str = ""
    tag: str = ""
    state: str = ""
    page: int = 1

    @classmethod
    def read(cls, query: Mapping[str, str]) -> FleetFilter:
        """The filter of an address; what it does not know is left out."""
        return cls(
            asked(query, "q"),
            asked(query, "subscription"),
            asked(query, "group"),
            asked(query, "tag"),
            asked(query, "state"),
            page_number(query.get("page", "")),
        )

    @property
    def asks(self) -> bool:
        """Whether it asks for anything."""
        return any((self.text, self.subscription, self.group, self.tag, self.state))

    def at(self, page: int) -> str:
        """The query of another page of the same sets."""
        fields = {
            "q": self.text,
            "subscription": self.subscription,
            "group": self.group,
            "tag": self.tag,
            "state": self.state,
        }
        return query_of(fields, page)

    def wants(self, facts: SetFacts) -> bool:
        """Whether a set is to be shown."""
        scale_set = facts.scale_set
        subscription = self.subscription.casefold()
        if subscription and scale_set.subscription_id.casefold() != subscription:
            return False
        if self.group and self.group.casefold() not in scale_set.resource_group.casefold():
            return False
        return (
            (not self.state or facts.is_in(self.state))
            and (not self.tag or self._has_tag(facts))
            and (not self.text or self.text.casefold() in facts.searched())
        )

    def _has_tag(self, facts: SetFacts) -> bool:
        name, equals, value = self.tag.casefold().partition("=")
        return any(
            own.casefold() == name.strip() and (not equals or own_value.casefold() == value.strip())
            for own, own_value in facts.tags
        )
