"""Queries of Resource Graph, Azure's index of all resources: many subscriptions in one call.

It is cheap and may be late: what it answers is never proof that something is gone, and an identity
without permission is answered with no rows, not with an error. Sources: "Working with large Azure
resource data sets" and "Guidance for throttled requests" of Microsoft's documentation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple

import msgspec
from msgspec import Raw

from exporter.azure.decode import NESTED, PIECE_LISTED, envelope_of, text_of
from exporter.azure.decode_scale_sets import ScaleSetPage, decode_row
from exporter.azure.error_body import error_in
from exporter.azure.errors import BrokenAnswer
from exporter.azure.operation import QUERY_GRAPH, Scope
from exporter.azure.ratelimit.usage import Reservation
from exporter.azure.transport import Transport
from exporter.azure.urls import graph_url
from exporter.runtime.cooperative import CooperativeScheduler
from exporter.telemetry import Telemetry

ROWS = 1000
"""Rows of a page: the most that Resource Graph gives."""

SUBSCRIPTIONS_AT_A_TIME = 1000
"""Subscriptions of one query."""

PAGE_LIMIT = 1000
"""Pages of one query: more rows than any tenant has."""


class GraphQuery(NamedTuple):
    """A query.

    Attributes:
        kind: what is asked for, as the label of `graph_queries_total`.
        text: in Kusto's language. Sorted by the id, for pages of rows in no order would repeat
            some and leave others out; and with a plain text among its columns, or the answer would
            have no `$skipToken`.
    """

    kind: str
    text: str


SCALE_SETS = GraphQuery(
    "scale_sets",
    """resources
| where type =~ 'microsoft.compute/virtualmachinescalesets'
| project id, location, sku, tags,
    orchestrationMode=tostring(properties.orchestrationMode),
    upgradeMode=tostring(properties.upgradePolicy.mode),
    hasProfile=isnotnull(properties.virtualMachineProfile),
    priority=tostring(properties.virtualMachineProfile.priority),
    evictionPolicy=tostring(properties.virtualMachineProfile.evictionPolicy),
    provisioningState=tostring(properties.provisioningState)
| order by id asc""",
)
"""All scale sets, with what `ScaleSetModel` holds."""

QUERIES = (SCALE_SETS,)

_ROWS = msgspec.json.Decoder(list[Raw])
_TOKEN = msgspec.json.Decoder(str | None)
_COUNT = msgspec.json.Decoder(int)


class ResourceGraph:
    """Asks Resource Graph with one credential.

    Args:
        telemetry: counts the queries.
        deadline: seconds for a query with all its pages.
        cooperative: where decoding yields to other tasks.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        telemetry: Telemetry,
        deadline: float,
        cooperative: CooperativeScheduler | None = None,
    ) -> None:
        self._transport = transport
        self._cooperative = cooperative or CooperativeScheduler()
        self._telemetry = telemetry
        self._deadline = deadline
        for query in QUERIES:
            for result in ("success", "failure"):
                telemetry.counter("graph_queries_total", kind=query.kind, result=result)

    async def scale_sets(
        self, subscriptions: Sequence[str] = ()
    ) -> AsyncGenerator[ScaleSetPage, None]:
        """Find the scale sets of subscriptions, as `rows` asks."""
        async with aclosing(self.rows(SCALE_SETS, subscriptions)) as pages:
            async for rows in pages:
                for begin in range(0, len(rows), PIECE_LISTED):
                    piece = rows[begin : begin + PIECE_LISTED]
                    async with self._cooperative.chunk():
                        found = [one for row in piece if (one := decode_row(bytes(row)))]
                    yield ScaleSetPage(found, len(piece) - len(found), None)

    async def rows(
        self, query: GraphQuery, subscriptions: Sequence[str] = ()
    ) -> AsyncGenerator[list[Raw], None]:
        """Ask, page by page. The answer is complete only when it ends without an exception.

        Args:
            subscriptions: their ids; none for all that the identity may see.

        Yields:
            The rows of a page, as JSON texts.

        Raises:
            AzureError: the query failed.
            NotSent: Azure has asked to wait.
        """
        until = asyncio.get_running_loop().time() + self._deadline
        step = SUBSCRIPTIONS_AT_A_TIME
        parts = [subscriptions[at : at + step] for at in range(0, len(subscriptions), step)]
        for part in parts or [()]:
            token, seen, visited = "", 0, {""}
            while True:
                page = await self._page(query, part, token, until)
                seen, token = seen + len(page.rows), page.token
                yield page.rows
                if not token:
                    break
                if token in visited:
                    raise BrokenAnswer("$skipToken leads back to a page that was read")
                if len(visited) == PAGE_LIMIT:
                    raise BrokenAnswer(f"the answer has more than {PAGE_LIMIT} pages")
                visited.add(token)
            if seen < page.total:
                raise BrokenAnswer(f"{page.total - seen} of {page.total} rows are missing")

    async def _page(
        self, query: GraphQuery, subscriptions: Sequence[str], token: str, until: float
    ) -> _Page:
        options = {"resultFormat": "objectArray", "$top": ROWS}
        if token:
            options["$skipToken"] = token
        asked = {"query": query.text, "options": options}
        if subscriptions:
            asked["subscriptions"] = list(subscriptions)
        reservation = self._reservation()
        result = "failure"
        try:
            url = graph_url(self._transport.endpoints)
            body = await self._transport.ask(
                url, reservation, until=until, body=msgspec.json.encode(asked)
            )
            page = _page_of(body)
            result = "success"
        finally:
            self._transport.budget.close(reservation)
            self._telemetry.counter("graph_queries_total", kind=query.kind, result=result).inc()
        return page

    def _reservation(self) -> Reservation:
        scope = Scope("", credential=self._transport.credential, service="Resource Graph")
        return self._transport.budget.unreserved(QUERY_GRAPH, scope)


class _Page(NamedTuple):
    rows: list[Raw]
    token: str
    total: int


def _page_of(body: bytes) -> _Page:
    try:
        envelope = envelope_of(text_of(body))
        if "data" not in envelope:
            raise BrokenAnswer(f"the answer has no data{error_in(body)}")
        rows = _ROWS.decode(envelope["data"])
        token = _TOKEN.decode(envelope["$skiptoken"]) if "$skiptoken" in envelope else None
        total = _COUNT.decode(envelope["totalrecords"]) if "totalrecords" in envelope else 0
    except msgspec.DecodeError:
        raise BrokenAnswer("the answer is not a page of rows") from None
    except RecursionError:
        raise BrokenAnswer(NESTED) from None
    return _Page(rows, token or "", total)
