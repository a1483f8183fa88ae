"""Which scale sets an entry of `discovery` wants. Pure: no call to Azure."""

from __future__ import annotations

from fnmatch import fnmatchcase

from exporter.configuration import Discovery
from exporter.configuration.scale_sets import ALL
from exporter.model.scale_set import FoundScaleSet, ScaleSetId

_WILD = frozenset("*?[")


class Selection:
    """What an entry of `discovery` selects. Azure compares names without letter case.

    Args:
        entry: the entry of the configuration.

    Attributes:
        everywhere: whether every subscription that the identity sees is searched.
        subscriptions: else the ids of those that are.
        resource_groups: the resource groups that are listed one by one, where each is named and
            none is a pattern; empty where whole subscriptions are listed.
    """

    def __init__(self, entry: Discovery) -> None:
        self.everywhere = ALL in entry.subscriptions
        self.subscriptions = tuple({name.casefold(): name for name in entry.subscriptions}.values())
        named = not any(_WILD.intersection(pattern) for pattern in entry.resource_groups)
        self.resource_groups = entry.resource_groups if named else ()
        self._subscriptions = {name.casefold() for name in entry.subscriptions}
        self._groups = tuple(pattern.casefold() for pattern in entry.resource_groups)
        self._names = tuple(pattern.casefold() for pattern in entry.names)
        self._tags = {name.casefold(): value for name, value in entry.tags.items()}

    def may_want(self, scale_set: ScaleSetId) -> bool:
        """Whether a scale set is wanted as far as its id tells."""
        subscription_id, group, name = scale_set.key
        return (
            (self.everywhere or subscription_id in self._subscriptions)
            and _matches(group, self._groups)
            and _matches(name, self._names)
        )

    def may_want_of(self, resource_group: str) -> bool:
        """Whether scale sets of a resource group may be wanted."""
        return _matches(resource_group.casefold(), self._groups)

    def wants(self, found: FoundScaleSet) -> bool:
        """Whether a scale set is wanted. Names of tags have no letter case, their values have."""
        tags = found.model.folded_tags
        return self.may_want(found.scale_set) and self._tags.items() <= tags.items()


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
