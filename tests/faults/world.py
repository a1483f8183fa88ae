"""The exporter as it is assembled, a simulated Azure on real sockets, and what goes wrong there.

Every test of a fault says what is served before, during and after it, and which counter or gauge
shows it. Faults last until they are lifted, so it does not matter how often a call is tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from aiohttp import web

from exporter.assembly import Exporter, build
from exporter.azure.auth.token_cache import TokenSource
from exporter.azure.auth.token_file import FileTokens
from exporter.configuration import load
from exporter.exposition.content_type import TEXT
from exporter.model.scale_set import ScaleSetId
from exporter.process import Process
from exporter.simulator import calls
from exporter.simulator.calls import Call
from exporter.simulator.description import ScaleSetDescription
from exporter.simulator.faults import Fault
from exporter.simulator.fleet import Fleet
from exporter.simulator.server import ReceivedRequest, SimulatedAzure
from exporter.telemetry import NEW_LABELS_WAIT
from support.answers import SUBSCRIPTION, samples
from support.assembled import OWN, ServedPage, WatchedBudget, polled_on_schedule
from support.loop_clock import LoopClock

TOKEN = "a-token-that-must-not-show"
OTHER_SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
FLEET = f"""\
subscription_id: {SUBSCRIPTION}
page_size: 10
scale_sets:
  - {{name: web, resource_group: rg-web, size: 50, extensions: [CustomScript]}}
  - {{name: small, resource_group: rg-web, size: 3}}
  - {{name: north, resource_group: rg-north, size: 4, location: northeurope}}
  - {{name: other, resource_group: rg-other, size: 2, subscription_id: {OTHER_SUBSCRIPTION}}}
"""
FOUND = {"web", "small", "north", "other"}
"""The names of its sets."""

REFRESH = 300
"""Seconds between two searches for scale sets, by default."""

UP, INSTANCES, REASON = "azure_vmss_up", "azure_vmss_instances", "azure_vmss_poll_failure"
LAST_SUCCESS = "azure_vmss_last_success_timestamp_seconds"
HEALING = 300.0
"""Seconds after the end of a fault in which every set is polled well again."""

# How the polls stand, which is what a fault may change; and the one time in the simulator's answers
# that is always the present.
_OF_POLLS = (
    *("azure_vmss_up", "azure_vmss_poll_", "azure_vmss_last_", "azure_vmss_model_", OWN),
    "azure_vmss_instance_series_suppressed",
    "azure_vmss_vm_agent_status_timestamp_",
)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
Served = dict[str, str]
"""The values by their series, as they are written."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Instead:
    """An answer in place of Azure's, and for which calls: None for any."""

    answer: Answer
    operation: str | None
    scale_set: str | None
    page: int | None
    subscription: str | None = None
    happened: int = 0

    def strikes(self, call: Call) -> bool:
        """Whether it is for this call."""
        wanted = (self.operation, self.scale_set, self.page, self.subscription)
        given = (call.operation, call.name, call.page, call.subscription)
        return all(want in (None, have) for want, have in zip(wanted, given, strict=True))


class World(ServedPage):
    """One process of the exporter, and the Azure that it asks.

    Attributes:
        clock: the time of both.
        fleet: what Azure holds.
        azure: the simulated Azure; another one after an outage.
        process: what the exporter has once.
        exporter: the exporter as it is assembled; it polls.
        waiting: calls on the wire that wait for time to pass.
        on_the_way: other calls on the wire, such as those for a token.
        received: the calls that have come to Azure, faults and outages included.
    """

    def __init__(self, folder: Path, clock: LoopClock) -> None:
        self.clock = clock
        self.fleet = Fleet.from_yaml(FLEET)
        self.waiting = self.on_the_way = 0
        self.received: list[ReceivedRequest] = []
        self._instead: list[Instead] = []
        self._token_file = folder / "token"
        self.write_token(TOKEN)
        self.process = Process(version="1", python_version="3", clock=clock)
        self._budget = WatchedBudget(clock=clock, telemetry=self.process.telemetry)
        self.process.budget = self._budget
        self.process.tokens[""] = WatchedTokens(FileTokens(str(self._token_file)), self)
        clock.busy = lambda: self._budget.on_the_wire + self.on_the_way > self.waiting
        self.azure = self._new_azure()
        self.exporter: Exporter

    def write_token(self, token: str) -> None:
        """Give the exporter a token."""
        self._token_file.write_text(token)

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration file: every Uniform set of the fleet, each minute."""
        url = self.azure.url
        return {
            "azure": {
                "cloud": "custom",
                "endpoint": url,
                "audience": url,
                "credential": {"type": "static", "token_file": str(self._token_file)},
            },
            "polling": {"interval": "60s"},
            "scale_sets": [
                {
                    "subscription_id": found.identity.subscription_id,
                    "resource_group": found.identity.resource_group,
                    "name": found.identity.name,
                }
                for found in self.fleet.scale_sets
            ],
        }

    def searching(
        self, *entries: dict[str, Any], mode: str = "auto", **more: Any
    ) -> dict[str, Any]:
        """The configuration file that has the sets found: in all subscriptions, or by entries."""
        document = self.settings
        del document["scale_sets"]
        found = list(entries) or [{"subscriptions": ["all"]}]
        return document | {"discovery": found, "resource_graph": {"mode": mode}} | more

    @asynccontextmanager
    async def polling(
        self, *, settings: dict[str, Any] | None = None, **polling: str
    ) -> AsyncIterator[Self]:
        """Let the exporter poll every set on schedule, and wait for the first polls."""
        document = settings or self.settings
        document["polling"] |= polling
        configuration = load(yaml.safe_dump(document), environment={})
        async with (
            build(configuration, self.process) as self.exporter,
            polled_on_schedule(self.exporter),
        ):
            await self.clock.advance(120)
            yield self

    # What goes wrong.

    def strike(self, **fault: Any) -> Fault:
        """Let Azure fail in one of the simulator's ways, until `heal`."""
        return self.azure.faults.append(Fault.model_validate(fault))

    def instead(
        self,
        answer: Answer,
        *,
        operation: str | None = "instances",
        scale_set: str | None = None,
        page: int | None = None,
        subscription: str | None = None,
    ) -> Instead:
        """Let Azure answer something else, until `heal`."""
        made = Instead(answer, operation, scale_set, page, subscription)
        self._instead.append(made)
        return made

    def heal(self) -> None:
        """End every fault."""
        self.azure.faults.clear()
        self._instead.clear()

    async def go_down(self) -> None:
        """Let Azure refuse every connection."""
        await self.azure.close()

    async def come_back(self) -> None:
        """Let Azure answer again at the same address, with its buckets full."""
        port = int(self.azure.url.rpartition(":")[2])
        self.azure = self._new_azure()
        await self.azure.start(port=port)

    async def wait(self, seconds: float | None) -> None:
        """Let a call on the wire wait for time to pass; for ever where that is None."""
        self.waiting += 1
        try:
            await (asyncio.Event().wait() if seconds is None else self.clock.sleep(seconds))
        finally:
            self.waiting -= 1

    # What shows.

    async def page(self, *names: str) -> str:
        """What `/metrics` serves, whole or of the named families."""
        return (await self.exporter.metrics_page.render(TEXT, names)).text.decode()

    async def age(self, name: str) -> float:
        """Seconds since the last success that the page tells of a set."""
        last = await self.value(LAST_SUCCESS, scale_set=name)
        assert last is not None
        return self.clock.now() - last

    async def reasons(self, name: str) -> set[str]:
        """Why a set's last poll failed; empty where it did not."""
        page: Samples = samples(await self.page(REASON))
        found = [dict(labels) for (_, labels), value in page.items() if value]
        return {labels["reason"] for labels in found if labels["scale_set"] == name}

    async def served(self, name: str | None = None) -> Served:
        """All that is served about Azure, or about one set, but how its polls stand."""
        return {
            series: value
            for line in (await self.page()).split("\n")
            if line.startswith("azure_vmss_") and not line.startswith(_OF_POLLS)
            for series, _, value in (line.rpartition(" "),)
            if name is None or f'scale_set="{name}"' in series
        }

    def calls_since(self, moment: float, *names: str) -> int:
        """Calls about these sets, or about any, that Azure has got since a Unix time."""
        return sum(
            call.time > moment and (not names or call.scale_set in names) for call in self.received
        )

    async def survives(
        self,
        *,
        reason: str,
        code: str,
        name: str = "web",
        lasts: float = 180.0,
        healing: float = HEALING,
    ) -> None:
        """Tell the story of a fault that is in force from now on and strikes one set's list.

        Before: the set is up. During: all that was served of it is served, only older; `up` is 0,
        the reason is told, it is counted in `poll_failures_total` and the requests by their status
        in `azure_requests_total`; the other sets stay as fresh as ever. After: the same is served,
        and `up` is 1.
        """
        assert await self.value(UP, scale_set=name) == 1
        before, last = await self.served(), await self.value(LAST_SUCCESS, scale_set=name)
        counted = await self.total("poll_failures_total", reason=reason)
        answered = await self.total("azure_requests_total", code=code)
        await self.clock.advance(lasts)
        assert await self.value(UP, scale_set=name) == 0
        assert await self.reasons(name) == {reason}
        assert await self.total("poll_failures_total", reason=reason) > counted
        assert differing(before, await self.served()) == {}
        assert await self.value(LAST_SUCCESS, scale_set=name) == last
        await self.others_are_well(name)
        self.heal()
        await self.recovers(healing)
        assert differing(before, await self.served()) == {}
        if await self.total("azure_requests_total", code=code) == answered:
            # A status that was never seen before is served as 0 first.
            await self.clock.advance(NEW_LABELS_WAIT)
        assert await self.total("azure_requests_total", code=code) > answered

    async def others_are_well(self, name: str) -> None:
        """Make sure that a set's trouble is nobody else's."""
        for state in self.exporter.targets:
            other = state.target.scale_set.name
            if other != name:
                assert await self.value(UP, scale_set=other) == 1, other
                assert await self.age(other) <= 61, other

    async def recovers(self, seconds: float = HEALING) -> None:
        """Let some time pass, and make sure that every set is polled well again."""
        await self.clock.advance(seconds)
        assert await self.values(UP) == [1] * len(self.exporter.targets)
        assert await self.values(REASON) == []

    def add_sets(self, number: int, *, size: int) -> None:
        """Let Azure hold more sets, `many-000` and so on."""
        described = ScaleSetDescription(name="many", resource_group="rg-many", size=size)
        for index in range(number):
            self.fleet.add_scale_set(described, name=f"many-{index:03d}")

    def find(self, name: str) -> ScaleSetId:
        """The id of a set of the fleet."""
        return self.fleet.scale_set(name).identity

    def _new_azure(self) -> SimulatedAzure:
        azure = SimulatedAzure(self.fleet, token=TOKEN, clock=self.clock)
        azure.application.middlewares.append(self._answer)
        self._instead.clear()
        return azure

    @web.middleware
    async def _answer(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        call = calls.read(request)
        for instead in self._instead:
            if call is not None and instead.strikes(call):
                instead.happened += 1
                self._note(request, call)
                return await instead.answer(request)
        if call is not None:
            self._note(request, call)
        return await handler(request)

    def _note(self, request: web.Request, call: Call) -> None:
        received = ReceivedRequest(
            method=request.method,
            path=request.path,
            query=request.query_string,
            operation=call.operation,
            scale_set=call.name,
            page=call.page,
            authorized="Authorization" in request.headers,
            accept_encoding=request.headers.get("Accept-Encoding", ""),
            time=self.clock.now(),
        )
        self.received.append(received)


class WatchedTokens:
    """Lets no time pass while a token is on its way."""

    def __init__(self, tokens: TokenSource, world: World) -> None:
        self._tokens = tokens
        self._world = world

    async def get(self, *, claims: str | None = None, stale: str | None = None) -> str:
        self._world.on_the_way += 1
        try:
            return await self._tokens.get(claims=claims, stale=stale)
        finally:
            self._world.on_the_way -= 1

    async def close(self) -> None:
        await self._tokens.close()


async def forbidden(_: web.Request) -> web.StreamResponse:
    """What Azure answers where the identity has no role."""
    error = {"code": "AuthorizationFailed", "message": "no"}
    return web.json_response({"error": error}, status=403)


def differing(before: Served, after: Served) -> Served:
    """What two pages do not have in common, with both values."""
    return {
        series: f"{before.get(series)} became {after.get(series)}"
        for series in sorted(before.keys() | after.keys())
        if before.get(series) != after.get(series)
    }
