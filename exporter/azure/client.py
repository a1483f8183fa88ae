"""The Azure client: one request at a time, and the walk over the pages of a list.

A request that failed for a reason that may pass is repeated at most twice (see `retry`), one that
Azure answers with 401 once with a fresh token, and a walk whose `nextLink` Azure no longer knows
begins anew once. Nothing else is repeated: the next poll does that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

import aiohttp
import structlog
from multidict import MultiMapping
from yarl import URL

import exporter
from exporter.azure.authorization import Authorization
from exporter.azure.body import masked, read_body
from exporter.azure.breaker import Breaker
from exporter.azure.budget import Budget
from exporter.azure.clock_check import ClockCheck
from exporter.azure.connection_failures import Asked
from exporter.azure.decode import decode_instance_page, decode_scale_set
from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import AzureError, BrokenAnswer, NotSent, Rejected, Throttled, TimedOut
from exporter.azure.failures import Answer, failure_of, not_json
from exporter.azure.holds import Holds
from exporter.azure.links import instances_url, next_url, scale_set_url
from exporter.azure.operation import GET_SCALE_SET, LIST_INSTANCES, OPERATIONS, Operation
from exporter.azure.proxies import proxy_for
from exporter.azure.ratelimit import remaining_of_arm, remaining_of_compute
from exporter.azure.retry import PASSING, RETRIES, Retries
from exporter.azure.session import new_session
from exporter.azure.spending import Spending
from exporter.azure.throttling import count_throttling
from exporter.azure.tokens import TokenSource
from exporter.azure.translation import FOREIGN, translate
from exporter.model.instance_view import InstancePage, Problem
from exporter.model.scale_set import ScaleSetFacts, ScaleSetId
from exporter.redaction import masked_headers, value_mask
from exporter.runtime.clock import Clock
from exporter.runtime.turns import Turns
from exporter.telemetry import Telemetry

__all__ = ["RESTART", "AzureClient", "Restart", "new_session"]

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of one page after decompression: a hundred times what 120 instances need."""

PAGE_LIMIT = 1000
"""Pages of one walk: a set has 1000 instances at most, so even one on each page fits."""

USUAL_CODES = (
    *("200", "400", "401", "403", "404", "408", "409", "429"),
    *("500", "502", "503", "504", "error"),
)
"""How requests usually end: counted from 0, so that `increase()` sees the first one of each."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Restart:
    """Comes between the pages of a walk that begins again: forget the pages so far.

    Azure gives out a `nextLink` and sometimes declines it later. The pages of the second start
    are complete in themselves.
    """


RESTART = Restart()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """Whom a request is for: the labels and the words for its failure."""

    operation: Operation
    scale_set: ScaleSetId
    location: str


class AzureClient:
    """Asks the Azure Resource Manager about scale sets.

    Every method raises AzureError and NotSent only, and CancelledError.

    Args:
        session: of `new_session`; the caller closes it.
        endpoints: the cloud.
        tokens: where the bearer token comes from; the caller closes it.
        telemetry: counts requests, durations, throttling and what remains of read limits.
        clock: the time.
        api_version: of `Microsoft.Compute`.
        detail: `full` for all fields of the instances, else their instance view only.
        timeout: seconds for one request, from the connection to the end of the body.
        deadline: seconds for a walk with all its requests.
        body_limit: bytes of one answer after decompression.
        page_limit: pages of one walk.
        turns: the turns on the event loop, which decoding takes.
        holds: until when Azure asked to wait, if an earlier client was told.
        budget: what may be spent of Azure's limits; by default half of them.
        retries: how often a request is repeated at most, after a failure that may pass.
    """

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        endpoints: Endpoints,
        tokens: TokenSource,
        telemetry: Telemetry,
        clock: Clock,
        api_version: str,
        detail: Literal["instance_view", "full"],
        timeout: float,
        deadline: float,
        body_limit: int = BODY_LIMIT,
        page_limit: int = PAGE_LIMIT,
        turns: Turns | None = None,
        holds: Holds | None = None,
        budget: Budget | None = None,
        retries: int = RETRIES,
    ) -> None:
        self._session = session
        self._endpoints = endpoints
        self._authorization = Authorization(tokens, deadline=deadline)
        self._telemetry = telemetry
        self._clock = clock
        self._api_version = api_version
        self._full = detail == "full"
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._deadline = deadline
        self._body_limit = body_limit
        self._page_limit = page_limit
        self._turns = turns or Turns()
        self._holds = holds or Holds(clock=clock, telemetry=telemetry)
        self._budget = budget or Budget(clock=clock, telemetry=telemetry)
        self._clock_check = ClockCheck(clock)
        self._breaker = Breaker(clock=clock, telemetry=telemetry)
        self._retries = Retries(
            clock=clock, telemetry=telemetry, breaker=self._breaker, count=retries
        )
        address = URL(endpoints.resource_manager)
        self._proxy = proxy_for(address)
        self._asked = Asked(
            f"{address.host}:{address.port}", self._proxy.name if self._proxy else ""
        )
        self._proxy_masks = tuple(
            value_mask(value.partition(" ")[2])
            for value in (self._proxy.headers.values() if self._proxy else ())
        )
        for operation in OPERATIONS:
            name = operation.name
            telemetry.histogram("azure_request_duration_seconds", operation=name)
            telemetry.counter("azure_retries_total", operation=name)
            for code in USUAL_CODES:
                telemetry.start_at_zero("azure_requests_total", operation=name, code=code)

    def wait_for(self, subscription_id: str, location: str) -> float:
        """Seconds for which Azure asked to be left alone; 0 where a request may go out."""
        return self._holds.remaining(subscription_id, location)

    async def instance_pages(
        self, scale_set: ScaleSetId, *, location: str = ""
    ) -> AsyncGenerator[InstancePage | Restart, None]:
        """Walk over a set's instances (`VirtualMachineScaleSetVMs_List`), page by page.

        The walk is complete only when it ends without an exception: a walk that fails on page
        three says nothing about the instances that were not on the first two. Close it with
        `contextlib.aclosing`. The time that the caller takes between pages counts to the deadline.

        Args:
            scale_set: whose instances.
            location: the set's region where known; the limits are counted by it.

        Yields:
            The pages in Azure's order; at most once RESTART, after which the pages begin anew.

        Raises:
            AzureError: the walk failed.
        """
        complete = False
        pages = self._walk(_Call(operation=LIST_INSTANCES, scale_set=scale_set, location=location))
        try:
            async with aclosing(pages):
                async for page in pages:
                    yield page
            complete = True
        finally:
            self._budget.end_walk(scale_set, complete=complete)

    async def _walk(self, call: _Call) -> AsyncGenerator[InstancePage | Restart, None]:
        scale_set = call.scale_set
        first = instances_url(
            self._endpoints, scale_set, api_version=self._api_version, full=self._full
        )
        when = asyncio.get_running_loop().time() + self._deadline
        url, visited, restarted = first, {str(first)}, False
        while True:
            try:
                body = await self._by(when, url, call)
            except Rejected as error:
                if restarted or url == first or not error.stale_link:
                    raise
                restarted = True
            else:
                following = None
                pieces = decode_instance_page(body, scale_set=scale_set)
                while page := await self._next(pieces):
                    following = self._following(page, visited)
                    yield page
                if following is None:
                    return
                url = following
                continue
            _log.debug("walk restarted", scale_set=str(scale_set))
            url, visited = first, {str(first)}
            yield RESTART

    async def scale_set_facts(
        self, scale_set: ScaleSetId, *, location: str = ""
    ) -> tuple[ScaleSetFacts, list[Problem]]:
        """Get the set itself (`VirtualMachineScaleSets_Get`): its facts, and what was left out.

        Raises:
            AzureError: the request failed.
        """
        call = _Call(operation=GET_SCALE_SET, scale_set=scale_set, location=location)
        url = scale_set_url(self._endpoints, scale_set, api_version=self._api_version)
        when = asyncio.get_running_loop().time() + self._deadline
        return decode_scale_set(await self._by(when, url, call), scale_set=scale_set)

    async def _next(self, pieces: Iterator[InstancePage]) -> InstancePage | None:
        """Decode one piece of a page; None after the last."""
        async with self._turns.piece():
            return next(pieces, None)

    def _following(self, page: InstancePage, visited: set[str]) -> URL | None:
        """The next page's address, which is None on the last one, noted as visited."""
        if page.next_link is None:
            return None
        url = next_url(page.next_link, self._endpoints, api_version=self._api_version)
        if str(url) in visited:
            raise BrokenAnswer("nextLink leads back to a page that was read")
        if len(visited) >= self._page_limit:
            raise BrokenAnswer(f"the list has more than {self._page_limit} pages")
        visited.add(str(url))
        return url

    async def _by(self, when: float, url: URL, call: _Call) -> bytes:
        """The body of one GET, before a time of the event loop's clock.

        The walk's deadline is set around each request, not around the walk: a generator must not
        cancel its caller's code between two pages.
        """
        token = await self._authorization.token(when)
        try:
            async with asyncio.timeout_at(when):
                return await self._get(url, token, call, until=when)
        except TimeoutError:
            raise TimedOut(f"not done within {self._deadline:g} s") from None

    async def _get(self, url: URL, token: str, call: _Call, *, until: float) -> bytes:
        # After the token, which may take its time to come.
        self._heed_hold(call)
        answer = await self._answer(url, token, call, until=until)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            refusal = self._failure(answer, call)
            token = await self._authorization.renewed(token, answer, refusal)
            self._heed_hold(call)
            answer = await self._answer(url, token, call, until=until)
        if answer.status != HTTPStatus.OK:
            raise self._failure(answer, call)
        if not answer.may_be_json:
            raise not_json(answer)
        return answer.body

    def _failure(self, answer: Answer, call: _Call) -> AzureError:
        error = failure_of(
            answer,
            scale_set=call.scale_set,
            action=call.operation.rbac_action,
            now=self._clock.now(),
        )
        if isinstance(error, Throttled):
            self._note_throttling(error, call)
        _log.debug("request failed", scale_set=str(call.scale_set), status=answer.status)
        return error

    async def _answer(self, url: URL, token: str, call: _Call, *, until: float) -> Answer:
        """The answer to a request that is repeated where its failure may pass."""

        async def attempt() -> Answer:
            answer = await self._send(url, token, call)
            if answer.status in PASSING:
                raise self._failure(answer, call)
            if answer.status == HTTPStatus.OK and answer.may_be_json and answer.is_cut:
                raise BrokenAnswer("the answer is cut: its JSON has no end", cut=True)
            return answer

        return await self._retries.run(attempt, until=until, operation=call.operation.name)

    async def _send(self, url: URL, token: str, call: _Call) -> Answer:
        """One request, as soon as the budget allows it."""
        async with self._budget.request(call.operation, call.scale_set, call.location) as spending:
            with ExitStack() as stack:
                try:
                    self._heed_hold(call)
                    opens = call.operation.opens_breaker
                    going = self._breaker.call(call.scale_set, opens=opens)
                    outcome = stack.enter_context(going)
                except (AzureError, NotSent):
                    spending.not_sent()
                    raise
                answer = await self._exchange(url, token, call, spending)
                outcome.answered(answer.status)
                return answer

    async def _exchange(self, url: URL, token: str, call: _Call, spending: Spending) -> Answer:
        """One request on the wire, counted and timed, whatever its status."""
        request_headers = self._headers(url, token)
        # Whoever answers may repeat what it was sent, as a proxy does that is to find a fault.
        masks = (value_mask(token), *self._proxy_masks)
        begun = self._clock.monotonic()
        code = "error"
        try:
            async with self._session.get(
                url,
                headers=request_headers,
                allow_redirects=False,
                timeout=self._timeout,
                proxy=self._proxy.address if self._proxy else None,
                proxy_headers=self._proxy.headers if self._proxy else None,
            ) as response:
                headers = masked_headers(response.headers, masks)
                spending.answered(headers, response.status)
                self._note_limits(headers, call)
                self._clock_check.note(headers)
                body = await read_body(response, limit=self._body_limit)
                body = await masked(body, masks)
                code = str(response.status)
                return Answer(response.status, headers, body)
        except FOREIGN as error:
            raise translate(error, what=call.operation.failure, asked=self._asked) from None
        finally:
            duration = self._clock.monotonic() - begun
            name = call.operation.name
            self._telemetry.count_open("azure_requests_total", operation=name, code=code)
            self._telemetry.histogram("azure_request_duration_seconds", operation=name).observe(
                duration
            )

    def _headers(self, url: URL, token: str) -> dict[str, str]:
        """The request's headers. This is the one place where a token is put into a request."""
        if not self._endpoints.may_have_token(url):
            raise BrokenAnswer("the address is not the configured endpoint's")
        return {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"azure-vmss-exporter/{exporter.__version__}",
        }

    def _heed_hold(self, call: _Call) -> None:
        wait = self.wait_for(call.scale_set.subscription_id, call.location)
        if wait > 0:
            raise NotSent(f"not sent: Azure asked to wait {wait:.0f} s more", retry_after=wait)

    def _note_limits(self, headers: MultiMapping[str], call: _Call) -> None:
        # The Resource Manager's limits are not the region's, so these have no location.
        for location, found in (
            (call.location, remaining_of_compute(headers)),
            ("", remaining_of_arm(headers)),
        ):
            for policy, remaining in found.items():
                labels = self._telemetry.policy_labels(
                    call.scale_set.subscription_id, location, policy
                )
                self._telemetry.gauge("azure_ratelimit_remaining", **labels).set(remaining)
                # Begins at 0: `increase()` would miss the first 429 of a series that begins at 1.
                self._telemetry.expect("azure_throttled_total", **labels)

    def _note_throttling(self, error: Throttled, call: _Call) -> None:
        subscription_id = call.scale_set.subscription_id
        if error.layer == "arm":
            self._budget.throttled_by_resource_manager(subscription_id)
        else:
            self._budget.throttled(call.operation, call.scale_set, call.location, error.policy)
        # The Resource Manager counts by subscription, Compute by subscription and region.
        location = "" if error.layer == "arm" else call.location
        count_throttling(self._telemetry, error, subscription_id=subscription_id, location=location)
        self._holds.put(subscription_id, location, error.retry_after, policy=error.policy)
