"""What goes wrong in a soak, at random from a seed: one set at a time, and now and then all."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from exporter.runtime.clock import Clock
from exporter.simulator import buckets
from exporter.simulator.description import ScaleSetDescription
from exporter.simulator.faults import Fault
from exporter.simulator.scale_set import SimulatedScaleSet
from exporter.simulator.server import SimulatedAzure
from soak.tokens import TokenDesk

SHORT_PAUSE, LONG_PAUSE = 420.0, 5 * 3600.0
"""Mean seconds between two troubles of one set, and between two of all."""

Trouble = Callable[[], Coroutine[Any, Any, None]]

_STATUSES = (400, 401, 403, 404, 408, 409, 410, 500, 502, 503, 504)
_SHAPES = ("crp", "crp_unwrapped", "crp_two", "arm", "arm_resource", "oldest", "temporary")
_WIRE = (
    "reset", "cut_connection", "wrong_content_length", "truncated_json", "truncated_gzip",
    "unavailable_html", "html_200", "empty_body", "redirect", "claims_challenge",
    "value_not_list", "value_missing", "body_not_object", "skiptoken_refused",
    "next_link_elsewhere", "next_link_loop", "next_link_repeat",
)  # fmt: skip
_HARMLESS = (
    "zones_null", "unknown_fields", "item_not_object", "item_without_id", "item_without_view",
    "item_repeated", "next_link_empty", "next_link_unencoded",
)  # fmt: skip


class Troubles:
    """Makes troubles one after the other.

    Args:
        azure: where they strike.
        desk: the token service.
        seed: of the choice.

    Attributes:
        happened: how often each one happened.
    """

    def __init__(self, azure: SimulatedAzure, desk: TokenDesk, clock: Clock, *, seed: int) -> None:
        self.happened: Counter[str] = Counter()
        self._azure = azure
        self._desk = desk
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311 - a simulation, no secret

    async def run(self) -> None:
        """Make troubles until cancelled."""
        small: dict[Trouble, int] = {
            self._status: 6, self._throttled: 3, self._wire: 8, self._harmless: 6, self._slow: 3,
            self._stalled: 1, self._endless: 1, self._vanished: 1, self._emptied: 1,
            self._reused: 2, self._guest: 2, self._late_index: 1, self._empty_index: 1,
            self._no_lists: 1,
        }  # fmt: skip
        large: dict[Trouble, int] = {
            self._outage: 4, self._silence: 1, self._storm: 3, self._no_tokens: 2,
            self._revoked: 3, self._neighbour: 3,
        }  # fmt: skip
        async with asyncio.TaskGroup() as group:
            group.create_task(self._one_by_one(small, SHORT_PAUSE), name="small troubles")
            group.create_task(self._one_by_one(large, LONG_PAUSE), name="large troubles")

    def end(self) -> None:
        """Mend what a trouble that was cancelled has left."""
        self._azure.faults.clear()
        self._azure.graph.emptied = False
        self._azure.graph.description = self._azure.fleet.description.graph
        self._desk.closed = False

    async def _one_by_one(self, troubles: dict[Trouble, int], pause: float) -> None:
        while True:
            await self._clock.sleep(self._random.expovariate(1 / pause))
            trouble = self._random.choices(list(troubles), list(troubles.values()))[0]
            self.happened[trouble.__name__.strip("_")] += 1
            await trouble()

    async def _last(self, low: float, high: float) -> None:
        await self._clock.sleep(self._random.uniform(low, high))

    def _set(self) -> SimulatedScaleSet:
        return self._random.choice(self._azure.fleet.scale_sets)

    async def _fault(self, low: float, high: float, **what: Any) -> None:
        fault = self._azure.faults.append(Fault(**what))
        await self._last(low, high)
        self._azure.faults.remove(fault)

    async def _status(self) -> None:
        status = self._random.choice(_STATUSES)
        await self._fault(
            30, 900, kind="status", status=status, scale_set=self._set().identity.name
        )

    async def _throttled(self) -> None:
        await self._fault(
            30, 600, kind="throttled", shape=self._random.choice(_SHAPES), times=3,
            retry_after=self._random.choice((None, "5", "61", "soon")),
            scale_set=self._set().identity.name,
        )  # fmt: skip

    async def _wire(self) -> None:
        kind = self._random.choice(_WIRE)
        name, page = self._set().identity.name, self._random.choice((None, None, 1, 2))
        await self._fault(30, 600, kind=kind, scale_set=name, page=page)

    async def _harmless(self) -> None:
        kind = self._random.choice(_HARMLESS)
        await self._fault(
            30, 900, kind=kind, operation="instances", scale_set=self._set().identity.name
        )

    async def _slow(self) -> None:
        kind = self._random.choice(("delay", "slow_drip"))
        seconds = self._random.uniform(1, 50) / (1 if kind == "delay" else 40)
        await self._fault(60, 900, kind=kind, seconds=seconds, scale_set=self._set().identity.name)

    async def _stalled(self) -> None:
        await self._fault(60, 900, kind="stalled", scale_set=self._set().identity.name)

    async def _endless(self) -> None:
        await self._fault(
            30, 300, kind="endless_body", times=1, scale_set=self._set().identity.name
        )

    async def _vanished(self) -> None:
        """A set is deleted, and made anew under the same name later."""
        gone = self._set()
        self._azure.fleet.remove_scale_set(gone.identity)
        await self._last(300, 3600)
        self._azure.fleet.add_scale_set(gone.description, name=gone.identity.name)

    async def _guest(self) -> None:
        """A set of another subscription comes, and goes later."""
        number = self.happened["guest"]
        described = ScaleSetDescription(
            name=f"guest-{number}",
            size=5,
            pace=3,
            orchestration=self._random.choice(("uniform", "flexible")),
            subscription_id=f"22222222-2222-2222-2222-{number:012d}",
        )
        guest = self._azure.fleet.add_scale_set(described)
        await self._last(600, 7200)
        self._azure.fleet.remove_scale_set(guest.identity)

    async def _late_index(self) -> None:
        """Resource Graph is late by hours."""
        await self._graph(lag=self._random.uniform(1800, 20_000))

    async def _empty_index(self) -> None:
        """Resource Graph has lost all its rows."""
        self._azure.graph.emptied = True
        await self._last(300, 7200)
        self._azure.graph.emptied = False

    async def _no_lists(self) -> None:
        """Searching is not allowed for a while, in either way."""
        refused = [
            self._azure.faults.append(Fault(kind="status", status=403, operation="graph")),
            self._azure.faults.append(Fault(kind="status", status=403, operation="scale_sets")),
        ]
        await self._last(600, 7200)
        for fault in refused:
            self._azure.faults.remove(fault)

    async def _graph(self, **description: float) -> None:
        graph = self._azure.graph
        usual = graph.description
        graph.description = usual.model_copy(update=description)
        await self._last(3600, 14_400)
        graph.description = usual

    async def _emptied(self) -> None:
        """A set is scaled to nothing, and back."""
        scale_set = self._set()
        for identifier in list(scale_set.instances):
            scale_set.remove(identifier)
        await self._last(60, 1800)
        for _ in range(scale_set.description.size):
            scale_set.add()

    async def _reused(self) -> None:
        """An instance goes, and another one comes with its id."""
        scale_set = self._set()
        if scale_set.instances:
            identifier = self._random.choice(sorted(scale_set.instances))
            scale_set.remove(identifier)
            await self._last(0, 300)
            fresh = scale_set.add()
            scale_set.remove(fresh.instance_id)
            fresh.instance_id = identifier
            scale_set.instances[identifier] = fresh

    async def _outage(self) -> None:
        kind, status = self._random.choice((("status", 503), ("status", 500), ("reset", 500)))
        await self._fault(300, 1800, kind=kind, status=status)

    async def _silence(self) -> None:
        await self._fault(120, 900, kind="stalled")

    async def _storm(self) -> None:
        shape = self._random.choice(_SHAPES)
        await self._fault(120, 1200, kind="throttled", shape=shape, retry_after="17")

    async def _no_tokens(self) -> None:
        self._desk.closed = True
        await self._last(600, 3600)
        self._desk.closed = False

    async def _revoked(self) -> None:
        self._desk.revoke()

    async def _neighbour(self) -> None:
        """Another client of the subscription empties the region's bucket, for some minutes."""
        for _ in range(self._random.randrange(5, 20)):
            self._azure.limits.drain(buckets.SUBSCRIPTION_HIGH_COST)
            await self._clock.sleep(60.0)
