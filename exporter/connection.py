"""What asks Azure as one configuration says: a session, and a client for each credential."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from exporter.azure.auth import token_sources
from exporter.azure.auth.token_watch import TokenWatch
from exporter.azure.circuit_breaker import OpenCircuits
from exporter.azure.lists import Lists
from exporter.azure.resource_graph import ResourceGraph
from exporter.azure.scale_sets import ScaleSetClient
from exporter.azure.session import new_session
from exporter.azure.set_details import SetDetailsClient
from exporter.azure.transport import Transport
from exporter.preparation import Prepared
from exporter.process import Process


class Client:
    """What asks Azure with one credential.

    Attributes:
        tokens: of the credential.
        scale_sets: the calls about scale sets.
        details: the calls about what sets have beside that.
        lists: the calls that tell which there are.
        graph: queries of Resource Graph.

    Args:
        name: the credential's; empty for `azure.credential`.
        circuits: shows whether all endpoints answer.
        expiries: when the tokens of all credentials end.
    """

    def __init__(
        self,
        name: str,
        prepared: Prepared,
        process: Process,
        *,
        session: aiohttp.ClientSession,
        circuits: OpenCircuits,
        expiries: dict[TokenWatch, float],
    ) -> None:
        configuration, endpoints = prepared.configuration, prepared.endpoints[name]
        azure, polling = configuration.azure, configuration.polling
        self.tokens = process.tokens.get(name) or token_sources.build(
            configuration.credentials[name] if name else azure.credential,
            endpoints,
            clock=process.clock,
            tls=prepared.tls,
            telemetry=process.telemetry,
            name=name,
            expiries=expiries,
        )
        transport = Transport(
            session=session,
            endpoints=endpoints,
            tokens=self.tokens,
            telemetry=process.telemetry,
            clock=process.clock,
            timeout=polling.timeout,
            deadline=polling.deadline,
            gate=process.gate,
            budget=process.budget,
            credential=name,
            circuits=circuits,
            denials=process.denials,
        )
        self.scale_sets = ScaleSetClient(
            transport,
            api_version=azure.api_version,
            detail=azure.detail,
            deadline=polling.deadline,
            cooperative=process.cooperative,
        )
        self.details = SetDetailsClient(
            transport,
            api_version=azure.api_version,
            deadline=polling.deadline,
            cooperative=process.cooperative,
        )
        self.graph = ResourceGraph(
            transport,
            telemetry=process.telemetry,
            deadline=polling.deadline,
            cooperative=process.cooperative,
        )
        self.lists = Lists(
            transport,
            api_version=azure.api_version,
            deadline=polling.deadline,
            cooperative=process.cooperative,
        )


class Connection:
    """The connection to Azure, one session for all credentials. It is closed with its last user.

    Attributes:
        prepared: what it was made for.
        clients: what asks with each credential, by its name.
        budget: what may be spent of Azure's limits.
    """

    def __init__(self, prepared: Prepared, process: Process) -> None:
        self.prepared = prepared
        self.budget = process.budget
        self._users = 0
        self._session = new_session(prepared.tls)
        circuits, expiries = OpenCircuits(process.telemetry), dict[TokenWatch, float]()
        self.clients = {
            name: Client(
                name,
                prepared,
                process,
                session=self._session,
                circuits=circuits,
                expiries=expiries,
            )
            for name in prepared.endpoints
        }

    @property
    def is_open(self) -> bool:
        """Whether it is in use."""
        return self._users > 0

    @asynccontextmanager
    async def used(self) -> AsyncIterator[None]:
        """Use it; the last one to end closes it."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                async with AsyncExitStack() as stack:
                    stack.push_async_callback(self._session.close)
                    for client in self.clients.values():
                        stack.push_async_callback(client.tokens.close)
