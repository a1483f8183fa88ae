"""A discovery over lists that the test writes, and the targets that it keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest

from exporter.azure.decode_scale_sets import ResourceGroup, ScaleSetPage
from exporter.configuration import Configuration, load
from exporter.discovery.discovery import Discovery
from exporter.discovery.finder import Finder
from exporter.model.scale_set import FoundScaleSet, ScaleSetId, ScaleSetModel
from support.answers import SUBSCRIPTION
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource

OTHER = "11111111-1111-1111-1111-111111111111"
LISTED = (
    f"scale_sets: [{{subscription_id: {SUBSCRIPTION}, resource_group: rg-web, name: listed}}]\n"
)


class FakeLists:
    """Lists of scale sets by subscription, as the test has put them; an error in place of a page."""

    def __init__(self) -> None:
        self.sets: dict[str, list[FoundScaleSet | Exception]] = {SUBSCRIPTION: []}
        self.failure: Exception | None = None
        self.missed: set[str] = set()
        self.groups_asked: Counter[str] = Counter()
        self.groups: dict[str, list[ResourceGroup]] = {}
        self.groups_failure: Exception | None = None
        self.asked: Counter[tuple[str, str]] = Counter()

    def put(
        self, name: str, *, group: str = "rg-web", subscription: str = SUBSCRIPTION, **model: object
    ) -> None:
        """Let there be a scale set."""
        found = ScaleSetModel(location="westeurope", **model)  # type: ignore[arg-type]
        identity = ScaleSetId(subscription, group, name)
        self.sets.setdefault(subscription, []).append(FoundScaleSet(identity, found))

    async def scale_sets(
        self, subscription_id: str, resource_group: str = ""
    ) -> AsyncGenerator[ScaleSetPage, None]:
        self.asked[subscription_id, resource_group] += 1
        for one in self.sets[subscription_id]:
            if isinstance(one, Exception):
                raise one
            if not resource_group and one.scale_set.name in self.missed:
                continue
            if resource_group.casefold() in ("", one.scale_set.key[1]):
                yield ScaleSetPage([one], 0, None)

    async def resource_groups(self, subscription_id: str) -> list[ResourceGroup]:
        self.groups_asked[subscription_id] += 1
        if self.groups_failure is not None:
            raise self.groups_failure
        return self.groups.get(subscription_id, [])

    async def subscriptions(self) -> list[str]:
        if self.failure is not None:
            raise self.failure
        return list(self.sets)


class FakeGraph:
    """Resource Graph, as the test has put it: what lists have is not in it by itself."""

    def __init__(self) -> None:
        self.sets: list[FoundScaleSet] = []
        self.lost = 0
        self.failure: Exception | None = None
        self.asked: list[tuple[str, ...]] = []

    def knows(self, lists: FakeLists) -> None:
        """Bring the index up to date."""
        self.sets = [
            one for sets in lists.sets.values() for one in sets if isinstance(one, FoundScaleSet)
        ]

    async def scale_sets(
        self, subscriptions: Sequence[str] = ()
    ) -> AsyncGenerator[ScaleSetPage, None]:
        self.asked.append(tuple(subscriptions))
        if self.failure is not None:
            raise self.failure
        for one in self.sets:
            if not subscriptions or one.scale_set.subscription_id in subscriptions:
                yield ScaleSetPage([one], 0, None)
        yield ScaleSetPage([], self.lost, None)


@pytest.fixture
def graph() -> FakeGraph:
    return FakeGraph()


@pytest.fixture
def lists() -> FakeLists:
    return FakeLists()


@pytest.fixture
def source(clock: FakeClock) -> FakeSource:
    return FakeSource(clock)


@pytest.fixture
def polling(clock: FakeClock, source: FakeSource) -> Polling:
    return Polling(source, clock)


def configured(
    discovery: str = f"[{{subscriptions: [{SUBSCRIPTION}]}}]", more: str = ""
) -> Configuration:
    """A configuration with these entries of discovery."""
    return load(f"discovery: {discovery}\n{more}", environment={})


@pytest.fixture
def discover(lists: FakeLists, polling: Polling, clock: FakeClock) -> Callable[..., Discovery]:
    def made(
        configuration: Configuration | None = None, graph: FakeGraph | None = None
    ) -> Discovery:
        return Discovery(
            configuration or configured(),
            finders={"": Finder(lists)},
            targets=polling.targets,
            poller=polling.poller,
            clock=clock,
            telemetry=polling.telemetry,
            graphs={"": graph} if graph else None,
        )

    return made
