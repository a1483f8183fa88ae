"""One request to the Azure Resource Manager, from the token to the body of the answer.

A request that failed for a reason that may pass is repeated at most twice (see `retry`), one that
Azure answers with 401 once with a fresh token. Nothing else is repeated: the next poll does that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import aiohttp
import structlog
from yarl import URL

import exporter
from exporter.azure.auth.token_cache import TokenSource
from exporter.azure.authorization import Authorization
from exporter.azure.body import masked, read_body
from exporter.azure.circuit_breaker import CircuitBreaker, OpenCircuits
from exporter.azure.clock_check import ClockCheck
from exporter.azure.connection_failures import Asked
from exporter.azure.denials import Denials
from exporter.azure.endpoints import Endpoints
from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    Forbidden,
    NotSent,
    Throttled,
    TimedOut,
)
from exporter.azure.exception_map import FOREIGN, translate
from exporter.azure.http_errors import Answer, failure_of, not_json
from exporter.azure.operation import OPERATIONS, Operation, Scope
from exporter.azure.proxies import proxy_for
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.headers import LimitHeaders
from exporter.azure.ratelimit.http_429 import count_throttling
from exporter.azure.ratelimit.retry_after import RetryAfterGate
from exporter.azure.ratelimit.usage import Request, Reservation
from exporter.azure.retry import PASSING, RETRIES, Retries
from exporter.redaction import masked_headers, value_mask
from exporter.runtime.clock import Clock
from exporter.telemetry import Telemetry

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer after decompression: a hundred times what a page of 120 instances needs."""

USUAL_CODES = (
    *("200", "400", "401", "403", "404", "408", "409", "429"),
    *("500", "502", "503", "504", "error"),
)
"""How requests usually end: counted from 0, so that `increase()` sees the first one of each."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Call:
    """What is asked for, and what it may spend."""

    url: URL
    reservation: Reservation
    body: bytes | None = None

    @property
    def operation(self) -> Operation:
        return self.reservation.operation

    @property
    def scope(self) -> Scope:
        return self.reservation.scope


class Transport:
    """Sends requests to the Azure Resource Manager.

    Args:
        session: of `new_session`; the caller closes it.
        tokens: where the bearer token comes from; the caller closes it.
        telemetry: counts requests, durations, throttling and what remains of read limits.
        timeout: seconds for one request, from the connection to the end of the body.
        deadline: seconds for a call with all its requests, for messages.
        body_limit: bytes of one answer after decompression.
        gate: until when Azure asked to wait.
        budget: what may be spent of Azure's limits.
        retries: how often a request is repeated at most, after a failure that may pass.
        credential: the name of the credential that the tokens are of.
        circuits: shows whether the endpoint answers; of its own if None.
        denials: collects what the identity may not read; None to collect nothing.
    """

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        endpoints: Endpoints,
        tokens: TokenSource,
        telemetry: Telemetry,
        clock: Clock,
        timeout: float,
        deadline: float,
        gate: RetryAfterGate,
        budget: Budget,
        body_limit: int = BODY_LIMIT,
        retries: int = RETRIES,
        credential: str = "",
        circuits: OpenCircuits | None = None,
        denials: Denials | None = None,
    ) -> None:
        self._denials = denials
        self.credential = credential
        self.budget = budget
        self.endpoints = endpoints
        self._session = session
        self._authorization = Authorization(tokens, deadline=deadline)
        self._telemetry = telemetry
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._deadline = deadline
        self._body_limit = body_limit
        self._gate = gate
        self._clock_check = ClockCheck(clock)
        self._breaker = CircuitBreaker(clock=clock, circuits=circuits or OpenCircuits(telemetry))
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

    async def ask(
        self, url: URL, reservation: Reservation, *, until: float, body: bytes | None = None
    ) -> bytes:
        """The body of an answer, which has the status 200.

        The deadline is set around each request, not around a walk over pages: a generator must not
        cancel its caller's code between two pages.

        Args:
            url: of the configured endpoint.
            reservation: which call it belongs to, and what that may spend.
            body: JSON, for a query that is sent by POST and changes nothing; None for a GET.
            until: when all must be done, by the event loop's clock.

        Raises:
            AzureError: there is no such answer.
            NotSent: Azure has asked to wait.
        """
        call = _Call(url, reservation, body)
        token = await self._authorization.token(until)
        try:
            async with asyncio.timeout_at(until):
                answer = await self._with_retries(call, token, until)
                if answer.status == HTTPStatus.UNAUTHORIZED:
                    refusal = self._failure(answer, call)
                    token = await self._authorization.renewed(token, answer, refusal)
                    answer = await self._with_retries(call, token, until)
        except TimeoutError:
            raise TimedOut(f"not done within {self._deadline:g} s") from None
        if answer.status != HTTPStatus.OK:
            raise self._failure(answer, call)
        if not answer.may_be_json:
            raise not_json(answer)
        return answer.body

    def _with_retries(self, call: _Call, token: str, until: float) -> Awaitable[Answer]:
        send = partial(self._send, call, token)
        return self._retries.run(send, until=until, operation=call.operation.name)

    async def _send(self, call: _Call, token: str) -> Answer:
        """One request, as soon as the budget allows it. Raises for an answer that may pass."""
        async with self.budget.request(call.reservation) as request:
            with ExitStack() as stack:
                try:
                    # After the waits for the token and the budget.
                    self._gate.check(call.scope)
                    attempt = stack.enter_context(
                        self._breaker.call(call.scope, opens=call.operation.opens_breaker)
                    )
                except (AzureError, NotSent):
                    request.not_sent()
                    raise
                answer = await self._exchange(call, token, request)
                attempt.answered(answer.status)
        if answer.status in PASSING:
            raise self._failure(answer, call)
        if answer.status == HTTPStatus.OK and answer.may_be_json and answer.is_cut:
            raise BrokenAnswer("the answer is cut: its JSON has no end", cut=True)
        return answer

    async def _exchange(self, call: _Call, token: str, request: Request) -> Answer:
        """One request on the wire, counted and timed, whatever its status."""
        request_headers = self._headers(call.url, token)
        if call.body is not None:
            request_headers["Content-Type"] = "application/json"
        # Whoever answers may repeat what it was sent, as a proxy does that is to find a fault.
        masks = (value_mask(token), *self._proxy_masks)
        begun = self._clock.monotonic()
        code = "error"
        try:
            send = (
                self._session.get
                if call.body is None
                else partial(self._session.post, data=call.body)
            )
            async with send(
                call.url,
                headers=request_headers,
                allow_redirects=False,
                timeout=self._timeout,
                proxy=self._proxy.address if self._proxy else None,
                proxy_headers=self._proxy.headers if self._proxy else None,
            ) as response:
                headers = masked_headers(response.headers, masks)
                limits = LimitHeaders.of(headers)
                request.answered(limits, response.status)
                self._show_limits(limits, call.scope)
                self._clock_check.note(headers)
                body = await read_body(response, limit=self._body_limit)
                body = await masked(body, masks)
                code = str(response.status)
                return Answer(response.status, headers, body, limits)
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
        if not self.endpoints.may_have_token(url):
            raise BrokenAnswer("the address is not the configured endpoint's")
        return {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"azure-vmss-exporter/{exporter.__version__}",
        }

    def _failure(self, answer: Answer, call: _Call) -> AzureError:
        operation, scope = call.operation, call.scope
        error = failure_of(answer, scope=scope, action=operation.rbac_action, now=self._clock.now())
        if isinstance(error, Throttled):
            self._record_throttling(error, call)
        elif isinstance(error, Forbidden) and self._denials is not None:
            self._denials.add(operation, scope, error)
        _log.debug("request failed", scale_set=str(scope), status=answer.status)
        return error

    def _show_limits(self, limits: LimitHeaders, scope: Scope) -> None:
        # The Resource Manager's limits are not the region's, so these have no location.
        for location, found in ((scope.location, limits.compute), ("", limits.resource_manager)):
            for policy, remaining in found.items():
                labels = self._telemetry.policy_labels(scope.subscription_id, location, policy)
                self._telemetry.gauge("azure_ratelimit_remaining", **labels).set(remaining)
                # Begins at 0: `increase()` would miss the first 429 of a series that begins at 1.
                self._telemetry.expect("azure_throttled_total", **labels)

    def _record_throttling(self, error: Throttled, call: _Call) -> None:
        scope, location, counted_by = call.scope, "", call.scope.counted_by
        # The Resource Manager counts by subscription, Compute by subscription and region, others
        # as they like: a limit of their own says nothing of what the polls may spend.
        if error.layer != "arm" and scope.service:
            counted_by = scope.counted_by_service
        elif error.layer == "arm" or not call.operation.of_compute:
            self.budget.throttled_by_resource_manager(scope)
        else:
            self.budget.throttled(call.operation, scope, error.policy)
            location = scope.location
        count_throttling(
            self._telemetry, error, subscription_id=scope.subscription_id, location=location
        )
        self._gate.put(
            scope.subscription_id,
            location,
            error.retry_after,
            policy=error.policy,
            counted_by=counted_by,
        )
