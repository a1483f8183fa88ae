"""Keeps the targets what the configuration lists and what is found, as scale sets come and go."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from exporter.azure.errors import NotFound
from exporter.configuration import Configuration
from exporter.configuration import Discovery as Entry
from exporter.discovery.finder import Failure, Finder, Search
from exporter.discovery.graph_finder import GraphFinder, ScaleSetGraph
from exporter.discovery.selection import Selection
from exporter.model.scale_set import ScaleSetId, ScaleSetModel, Target
from exporter.polling.outage import INTERNAL
from exporter.polling.poller import Poller
from exporter.polling.target_state import TargetState
from exporter.polling.targets import CHANGES_AT_A_TIME, Changes, Targets
from exporter.runtime.clock import Clock
from exporter.telemetry import Telemetry

MISSED_REFRESHES = 3
"""Complete refreshes in a row that do not find a set, until it goes."""

RETRY = 60.0
"""Seconds until a refresh that was not complete is tried again, if it is not due sooner."""

_log = structlog.get_logger(__name__)

_Key = tuple[str, str, str]
Restore = Callable[[Sequence[TargetState]], Awaitable[None]]


def carried_over(configuration: Configuration, states: Iterable[TargetState]) -> list[Target]:
    """The targets of another configuration before anything is searched.

    Those that it lists, and those found before that its `discovery` may want too.
    """
    targets = {target.scale_set.key: target for target in configuration.targets()}
    selections = [(entry, Selection(entry)) for entry in configuration.discovery]
    for state in states:
        scale_set = state.target.scale_set
        if state.target.origin != "discovered" or scale_set.key in targets:
            continue
        for entry, selection in selections:
            if selection.may_want(scale_set):
                targets[scale_set.key] = configuration.target(scale_set, entry)
                break
    return list(targets.values())


@dataclass(frozen=True, slots=True)
class SearchStatus:
    """How the searches of an entry of `discovery` stand.

    Attributes:
        block: the index of the entry.
        search: the last search; None before the first.
        found: how many scale sets it has found that are polled.
        last_success: the Unix time of the last search that was complete.
    """

    block: int
    search: Search | None
    found: int
    last_success: float | None


class _Block:
    """One entry of `discovery`: what it has found, and how often each was missed since."""

    def __init__(
        self, number: int, entry: Entry, selection: Selection, finder: GraphFinder
    ) -> None:
        self.number = number
        self.entry = entry
        self.selection = selection
        self.finder = finder
        self.found: dict[_Key, Target] = {}
        self.missed: Counter[_Key] = Counter()
        # What Resource Graph said last of each set.
        self.indexed: dict[_Key, ScaleSetModel] = {}
        self.was_empty = False
        self.last_success: float | None = None
        self.search: Search | None = None


class Discovery:
    """Searches for scale sets, and applies what it finds to the registry of targets.

    Args:
        finders: search with each credential, by its name.
        targets: the registry.
        graphs: Resource Graph with each credential, where it is to be used.
        poller: takes the models that were found.
        restore: restores the saved states of targets that are new; None if none are saved.

    Attributes:
        configuration: in force; one that differs in the listed sets only may take its place.
        searched: set once every entry was searched, well or not.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        finders: Mapping[str, Finder],
        targets: Targets,
        poller: Poller,
        clock: Clock,
        telemetry: Telemetry,
        graphs: Mapping[str, ScaleSetGraph] | None = None,
        restore: Restore | None = None,
    ) -> None:
        self.configuration = configuration
        self.searched = asyncio.Event()
        self._targets = targets
        self._poller = poller
        self._clock = clock
        self._telemetry = telemetry
        self._restore = restore
        self._blocks = []
        for number, entry in enumerate(configuration.discovery):
            selection, credential = Selection(entry), entry.credential or ""
            graph = (graphs or {}).get(credential)
            finder = GraphFinder(selection, finders[credential], graph, clock=clock)
            self._blocks.append(_Block(number, entry, selection, finder))
        self._groups = {
            state.target.scale_set.key[:2]: state.target.scale_set.resource_group
            for state in targets
        }
        # What is wanted is worked out of all entries: one change at a time.
        self._changing = asyncio.Lock()
        if not self._blocks:
            self.searched.set()

    async def begin(self) -> Changes:
        """Poll the listed sets, and of those found before the ones that may still be wanted."""
        for name in ("discovery_up", "discovery_last_success_timestamp_seconds"):
            self._telemetry.clear(name)
        for block in self._blocks:
            self._telemetry.gauge("discovery_up", block=str(block.number)).set(0)
        wanted = carried_over(self.configuration, tuple(self._targets))
        for target in wanted:
            if target.origin == "discovered":
                block = next(b for b in self._blocks if b.selection.may_want(target.scale_set))
                block.found[target.scale_set.key] = target
        return await self._targets.apply(wanted)

    async def change(self, configuration: Configuration) -> Changes:
        """Take a configuration that differs in the listed sets and the interval only."""
        async with self._changing:
            self.configuration = configuration
            for block in self._blocks:
                block.found = {
                    key: configuration.target(target.scale_set, block.entry)
                    for key, target in block.found.items()
                }
            return await self._apply()

    async def run(self) -> None:
        """Refresh every entry again and again, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for block in self._blocks:
                group.create_task(self._keep_refreshing(block))
            await asyncio.Event().wait()

    def status(self) -> list[SearchStatus]:
        """How the searches stand, of each entry."""
        return [
            SearchStatus(block.number, block.search, len(block.found), block.last_success)
            for block in self._blocks
        ]

    async def refresh(self) -> None:
        """Refresh every entry once."""
        for block in self._blocks:
            await self._refresh(block)

    async def _keep_refreshing(self, block: _Block) -> None:
        while True:
            complete = await self._refresh(block)
            pause = block.entry.refresh
            await self._clock.sleep(pause if complete else min(pause, RETRY))

    async def _refresh(self, block: _Block) -> bool:
        """Search, and apply what was found; whether everything could be searched."""
        try:
            gone = {key for key, target in block.found.items() if self._is_gone(target)}
            search = await block.finder.search(known=tuple(block.found), gone=gone)
        except Exception as error:  # noqa: BLE001 - a fault here must not end the polls
            _log.exception("discovery crashed", block=block.number)
            search = Search(failures=[Failure("", INTERNAL, type(error).__name__)])
        self._record(block, search)
        async with self._changing:
            self._update(block, search)
            self._poller.models_found({key: found.model for key, found in search.found.items()})
            before = set(self._targets)
            await self._apply()
            self._poller.models_found({})
            await self._give_models(block, search, known=before)
        block.search = search
        if all(one.search is not None for one in self._blocks):
            self.searched.set()
        return not search.failures

    def _update(self, block: _Block, search: Search) -> None:
        self._spell_groups(search)
        for key, found in search.found.items():
            block.missed.pop(key, None)
            if key not in block.found:
                scale_set = self._spelled(found.scale_set)
                block.found[key] = self.configuration.target(scale_set, block.entry)
        if search.failures:
            return
        for key, target in list(block.found.items()):
            if key in search.found:
                continue
            block.missed[key] += 1
            if block.missed[key] >= MISSED_REFRESHES or self._is_gone(target):
                del block.found[key], block.missed[key]

    def _spell_groups(self, search: Search) -> None:
        """Choose the spelling of each resource group that is new.

        Azure writes some items' groups in capitals within one list, and series of one group are to
        be found by one label: a spelling that is not all in capitals is somebody's own.
        """
        new: dict[tuple[str, str], str] = {}
        for found in search.found.values():
            group = found.scale_set.resource_group
            chosen = new.setdefault(found.scale_set.key[:2], group)
            if chosen.isupper() and not group.isupper():
                new[found.scale_set.key[:2]] = group
        # Those of groups that have gone are forgotten.
        present = {state.target.scale_set.key[:2] for state in self._targets}
        known = {key: name for key, name in self._groups.items() if key in present}
        self._groups = new | known

    def _spelled(self, scale_set: ScaleSetId) -> ScaleSetId:
        """A scale set in the spelling that stays: that of the first answer."""
        if (known := self._targets.find(scale_set)) is not None:
            return known.target.scale_set
        return replace(scale_set, resource_group=self._groups[scale_set.key[:2]])

    def _is_gone(self, target: Target) -> bool:
        """Whether the polls have found, too, that a set does not exist any more."""
        state = self._targets.find(target.scale_set)
        return (
            state is not None
            and state.data.poll.reason == NotFound.reason
            and state.data.snapshot is None
        )

    async def _apply(self) -> Changes:
        wanted = {target.scale_set.key: target for target in self.configuration.targets()}
        for block in self._blocks:
            for key, target in block.found.items():
                wanted.setdefault(key, target)
        before = set(self._targets)
        changes = await self._targets.apply(wanted.values())
        if changes.added or changes.removed:
            _log.info(
                "targets changed",
                scale_sets=len(self._targets),
                added=changes.added,
                removed=changes.removed,
            )
        if changes.added and self._restore is not None:
            await self._restore([state for state in self._targets if state not in before])
        return changes

    async def _give_models(
        self, block: _Block, search: Search, *, known: Collection[TargetState]
    ) -> None:
        """Give the models of targets that were there already; the others have theirs.

        A row of the index that says what it said before is no news, and older than what a list or
        a GET has told since. A listed set is read by GETs, which are never late.
        """
        before, block.indexed = block.indexed, {}
        for number, (key, one) in enumerate(search.found.items(), start=1):
            is_old = key not in search.listed and before.get(key) == one.model
            if key not in search.listed:
                block.indexed[key] = one.model
            elif key in before:
                block.indexed[key] = before[key]
            if (state := self._targets.find(one.scale_set)) in known and state is not None:
                present = state.data.model
                is_late = is_old and present is not None and present.model != one.model
                if state.target.origin == "discovered" and not is_late:
                    self._poller.model_found(state, one.model)
            if number % CHANGES_AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _record(self, block: _Block, search: Search) -> None:
        """Show how a refresh ended; each failure is logged once until it has passed."""
        number, before = str(block.number), block.search or Search()
        self._tell_way(block, before, search)
        failing = {(failure.where, failure.reason) for failure in before.failures}
        self._telemetry.gauge("discovery_up", block=number).set(not search.failures)
        for failure in search.failures:
            self._telemetry.count_open(
                "discovery_failures_total", block=number, reason=failure.reason
            )
            if (failure.where, failure.reason) not in failing:
                _log.warning(
                    "discovery failing",
                    block=block.number,
                    where=failure.where,
                    reason=failure.reason,
                    error=failure.message,
                )
        if failing and not search.failures:
            _log.info("discovery recovered", block=block.number)
        if not search.failures:
            now = block.last_success = self._clock.now()
            name = "discovery_last_success_timestamp_seconds"
            self._telemetry.gauge(name, block=number).set(now)
            if not search.found and not block.was_empty:
                _log.warning(
                    "discovery found no scale set",
                    block=block.number,
                    advice="check the patterns, and that the identity may read the subscriptions",
                )
            block.was_empty = not search.found

    @staticmethod
    def _tell_way(block: _Block, before: Search, search: Search) -> None:
        """Log when Resource Graph cannot be used, and when it can again."""
        known, failure = before.graph_failure, search.graph_failure
        if failure and (known is None or known.reason != failure.reason):
            _log.warning(
                "resource graph not used",
                block=block.number,
                reason=failure.reason,
                error=failure.message,
                instead="lists",
            )
        elif known and not failure:
            _log.info("resource graph used again", block=block.number)
