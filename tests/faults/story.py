"""One exporter as it is assembled, an Azure whose answers the test writes, and what is served.

A test of a fault tells a story: what is served before, during and after it, and which counter or
gauge says so. The exporter is the real one from the configuration to the page, on real sockets;
only the clock stands still until the test moves it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.assembly import build
from exporter.configuration import Configuration, load
from exporter.exposition.content_type import TEXT
from exporter.persistence.restore import persisted
from exporter.polling.target_state import TargetState
from exporter.process import Process
from support.answers import SUBSCRIPTION, samples
from support.assembled import OWN, ServedPage, WatchedBudget, polled_on_schedule
from support.azure_room import FakeTokens
from support.clock import FakeClock

QUIET = 30
"""Turns of the event loop without a call on the wire after which all that can run has run."""

PATIENCE = 60.0
"""Real seconds for what threads and sockets do; they need milliseconds."""


class WireClock(FakeClock):
    """A clock on which no time passes while a call is on the wire."""

    def __init__(self) -> None:
        super().__init__()
        self.busy: Callable[[], bool] = lambda: False

    async def settle(self) -> None:
        quiet = 0
        async with asyncio.timeout(PATIENCE):
            while quiet < QUIET:
                await asyncio.sleep(0)
                quiet = 0 if self.busy() else quiet + 1


MACHINES_OF = "virtualMachineScaleSets/web"
"""The set in the ids of machines, which are written for one."""


class ScriptedAzure:
    """An Azure on loopback that answers as the test has written.

    Attributes:
        pages: the pages of each scale set's list, by its name.
        facts: more fields of each scale set itself.
        status: the HTTP status for a set in place of its list.
        headers: headers of every answer with such a status.
        held: sets whose calls get no answer until the event is set.
        calls: first pages that were asked for, by the set's name.
        waiting: calls that are held back now.
    """

    def __init__(self) -> None:
        self.pages: dict[str, list[list[Any]]] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        self.status: dict[str, int] = {}
        self.headers: dict[str, str] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.calls: Counter[str] = Counter()
        self.waiting = 0
        self.keep_alive = True
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        self.server = TestServer(application)

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self.server.make_url("/")).rstrip("/")

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.split("/")
        listed = path[-1] == "virtualMachines"
        name = (path[-2] if listed else path[-1]).casefold()
        number = int(request.query.get("$skiptoken", "0"))
        if listed and not number:
            self.calls[name] += 1
        if listed and name in self.held:
            self.waiting += 1
            try:
                await self.held[name].wait()
            finally:
                self.waiting -= 1
        if name in self.status:
            error = {"error": {"code": "Simulated", "message": "as the test wants it"}}
            status = self.status[name]
            return web.json_response(error, status=status, headers=self.headers)
        if not listed:
            properties = {"orchestrationMode": "Uniform"}
            facts = {"location": "westeurope", "properties": properties}
            return web.json_response(facts | self.facts.get(name, {}))
        pages = self.pages.get(name, [[]])
        document: dict[str, Any] = {"value": pages[number]}
        if number + 1 < len(pages):
            link = f"{self.url}{request.path}?api-version=2024-07-01&$skiptoken={number + 1}"
            document["nextLink"] = link
        # The machines of a story belong to the set that lists them.
        text = json.dumps(document).replace(f"/{MACHINES_OF}/", f"/virtualMachineScaleSets/{name}/")
        response = web.json_response(text=text)
        if not self.keep_alive:
            response.force_close()
        return response


@asynccontextmanager
async def scripted_sets(*names: str) -> AsyncIterator[ScriptedAzure]:
    """A scripted Azure on loopback that has these sets, each with one instance on each of two pages."""
    azure = ScriptedAzure()
    azure.pages = {name: [[machine(0)], [machine(1)]] for name in names}
    async with azure.server:
        yield azure


class Story(ServedPage):
    """What happens to one process of the exporter.

    Attributes:
        azure: what it asks.
        clock: its time.
        process: what lasts as long as it does.
        exporter: as it is assembled now.
    """

    def __init__(self, azure: ScriptedAzure, clock: WireClock) -> None:
        self.azure = azure
        self.clock = clock
        self._new_process()

    def configuration(
        self,
        *names: str,
        polling: str = "",
        more: str = "",
        interval: str = "60s",
        labels: str = "{}",
    ) -> Configuration:
        """A configuration of these sets of `rg-web`, read from its text as users write it."""
        sets = "".join(
            f"  - {{subscription_id: {SUBSCRIPTION}, resource_group: rg-web, name: {name},"
            f" labels: {labels}}}\n"
            for name in names or ("web",)
        )
        url = self.azure.url
        text = (
            f"azure: {{cloud: custom, endpoint: '{url}', audience: '{url}', detail: full,"
            f" credential: {{type: static, token_file: /no/such/file}}}}\n"
            f"polling: {{interval: {interval}, {polling}}}\nscale_sets:\n{sets}{more}"
        )
        return load(text, environment={})

    @asynccontextmanager
    async def assembled(self, configuration: Configuration) -> AsyncIterator[None]:
        """Assemble the exporter; one that was assembled before is carried on, as by a reload."""
        carried = getattr(self, "exporter", None)
        async with build(configuration, self.process, carried=carried) as self.exporter:
            exporter = self.exporter
            async with persisted(
                exporter.store, exporter.poller, exporter.targets, asyncio.Event()
            ):
                yield

    @asynccontextmanager
    async def polling(self) -> AsyncIterator[None]:
        """Let every set be polled on schedule."""
        async with polled_on_schedule(self.exporter):
            yield

    def restart(self) -> None:
        """Forget all that a process knows; `assembled` begins the next one."""
        del self.exporter
        self._new_process()

    async def poll(self, name: str = "web") -> None:
        """Poll a set once. What the client waits for inside a poll, such as a retry, passes."""
        poll = asyncio.create_task(self.exporter.poller.poll(self.state(name)))
        await self.clock.settle()
        while not poll.done():
            await self.clock.advance(1.0)
        await poll

    async def poll_items(self, *items: Any, name: str = "web") -> None:
        """Poll a set whose list is these items on one page."""
        self.azure.pages[name] = [list(items)]
        await self.poll(name)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let threads and sockets work until something holds; no time passes on the clock."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - what threads do sets no event
                await asyncio.sleep(0)

    async def until_own(self, name: str, value: float, **labels: str) -> None:
        """Let threads work until one of the exporter's own metrics has a value."""
        registry = self.process.telemetry.registry
        await self.until(lambda: registry.get_sample_value(OWN + name, labels) == value)

    def state(self, name: str = "web") -> TargetState:
        """What is known of a set."""
        (found,) = (r for r in self.exporter.targets if r.target.scale_set.name == name)
        return found

    async def page(self, *names: str) -> str:
        """What `/metrics` serves, whole or of the named families."""
        await self.exporter.poller.expire()
        return (await self.exporter.metrics_page.render(TEXT, names)).text.decode()

    async def counted(self, name: str, label: str) -> dict[str, float]:
        """One of the exporter's own counters by one label."""
        page = samples(await self.page(OWN + name))
        return {dict(labels)[label]: value for (_, labels), value in page.items()}

    async def lines(self, instance_id: str) -> list[str]:
        """The sample lines of one instance, as they are written."""
        return lines_of(await self.page(), instance_id)

    def _new_process(self) -> None:
        # The collectors of the process itself would be the pytest process's.
        self.process = Process(
            version="1", python_version="3", clock=self.clock, tokens={"": FakeTokens()}
        )
        budget = WatchedBudget(clock=self.clock, telemetry=self.process.telemetry)
        self.process.budget = budget
        self.clock.busy = lambda: budget.on_the_wire > self.azure.waiting


def lines_of(page: str, instance_id: str) -> list[str]:
    """The sample lines of one instance on a page."""
    wanted = f'instance_id="{instance_id}"'
    return [line for line in page.split("\n") if wanted in line]


def machine(number: int | str = 0, **fields: Any) -> dict[str, Any]:
    """An item of Azure's list: a machine that runs and is well.

    Keywords replace what stands at the top, in `properties` or in the instance view.
    """
    item: dict[str, Any] = {
        "id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/RG-WEB/providers/Microsoft.Compute"
        f"/{MACHINES_OF}/virtualMachines/{number}",
        "instanceId": str(number),
        "name": f"web_{number}",
        "properties": {
            "instanceView": {
                "statuses": [
                    status("ProvisioningState/succeeded", time="2024-07-01T00:00:00+00:00"),
                    status("PowerState/running"),
                ],
            },
        },
    }
    properties = item["properties"]
    for name, value in fields.items():
        if name in ("vmId", "provisioningState", "instanceView"):
            properties[name] = value
        elif name in ("statuses", "vmAgent", "extensions", "disks", "vmHealth"):
            properties["instanceView"][name] = value
        else:
            item[name] = value
    return deepcopy(item)


def status(code: str, level: str = "Info", **fields: Any) -> dict[str, Any]:
    """One of Azure's statuses."""
    return {"code": code, "level": level, **fields}


def without_state_of_polls(page: str) -> str:
    """A page without what changes by polling alone: times, durations, own metrics."""
    polls = re.compile(rf"(# \w+ )?({OWN}|process_|python_|azure_vmss_(poll|last)_)")
    return "\n".join(line for line in page.split("\n") if not polls.match(line))
