"""The simulated Azure Resource Manager: one aiohttp server in front of a fleet."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from exporter.runtime.clock import Clock, SystemClock
from exporter.simulator import (
    buckets,
    calls,
    errors,
    fault_answers,
    oddities,
    operations,
    token_service,
    wire,
)
from exporter.simulator.buckets import Limits
from exporter.simulator.calls import Call
from exporter.simulator.errors import ArmError
from exporter.simulator.faults import Fault, Faults
from exporter.simulator.fleet import Fleet
from exporter.simulator.operations import Answer
from exporter.simulator.resource_graph import ResourceGraph
from exporter.simulator.times import azure_time

REMEMBERED_REQUESTS = 10_000


@dataclass(slots=True)
class ReceivedRequest:
    """One request as it came; `status` is the answer's, once there is one.

    The token itself is not kept, only whether there was one.
    """

    method: str
    path: str
    query: str
    operation: str | None
    scale_set: str | None
    page: int | None
    authorized: bool
    accept_encoding: str
    time: float
    status: int | None = None


class SimulatedAzure:
    """Answers as Azure does, from a fleet that lives.

    Args:
        fleet: what it holds; it may be changed at any time.
        token: the bearer token that is accepted, and that the token service gives out.
        clock: makes the fleet live and the buckets fill.
        identity_secret: what the token service wants in `X-IDENTITY-HEADER`.

    Attributes:
        faults: what goes wrong; those of the fleet file at first.
        requests: what was received, the last 10,000.
        tokens: the bearer tokens that are accepted; add to it and take from it at will.
        expired_tokens: tokens that are refused as expired.
        graph: Resource Graph.
        tenants: the subscriptions of the tenant that a token is of, in lower case; all where it
            is not named here.
        issued_token: what the token service gives out.
        token_lifetime: seconds that the token service promises for it.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        token: str,
        clock: Clock | None = None,
        identity_secret: str = "simulated-identity",  # noqa: S107 - it guards nothing real
    ) -> None:
        self.fleet = fleet
        self.clock: Clock = clock or SystemClock()
        self.faults = Faults([fault.model_copy() for fault in fleet.description.faults])
        self.limits = Limits(fleet.description.limits, self.clock.monotonic)
        self.requests: deque[ReceivedRequest] = deque(maxlen=REMEMBERED_REQUESTS)
        self.tokens = {token}
        self.expired_tokens: set[str] = set()
        self.graph = ResourceGraph(fleet)
        self.tenants: dict[str, frozenset[str]] = {}
        self.issued_token = token
        self.token_lifetime = 86_400.0
        self._identity_secret = identity_secret
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._url = ""
        self.application = web.Application()
        self.application.router.add_route("*", token_service.PATH, self._answer_token)
        self.application.router.add_route("*", "/{path:.*}", self._answer)
        self.application.on_shutdown.append(self._on_shutdown)
        fleet.advance(self.clock.now())

    @property
    def url(self) -> str:
        """Where it listens, as in `http://127.0.0.1:1234`; empty before `start`."""
        return self._url

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one. Raises OSError where the address cannot be had."""
        # With cancellation a stalled answer ends when its client goes.
        runner = web.AppRunner(
            self.application, access_log=None, handler_cancellation=True, shutdown_timeout=0.5
        )
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await self.close()
            raise
        address, actual_port = runner.addresses[0][:2]
        shown = f"[{address}]" if ":" in address else address
        self._url = f"http://{shown}:{actual_port}"

    async def close(self) -> None:
        """Stop at once, whatever is stalled or endless."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _on_shutdown(self, _: web.Application) -> None:
        self._closing.set()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.fleet.advance(self.clock.now())
        call = calls.read(request)
        received = self._remember(request, call)
        try:
            response = await self._respond(request, call)
        except ArmError as error:
            body = msgspec.json.encode(error.body)
            headers = self._identifiers() | error.headers
            response = await wire.send(request, body, headers, status=error.status)
        received.status = response.status
        return response

    async def _respond(self, request: web.Request, found: Call | None) -> web.StreamResponse:
        token = self._check_token(request)
        call = self._check_call(request, found, token)
        struck = self.faults.strike(
            operation=call.operation,
            scale_set=call.name,
            page=call.page,
            elapsed=self.fleet.elapsed,
        )
        for fault in struck:
            instead = await self._instead(request, call, fault, token)
            if instead is not None:
                return instead
        if call.operation == "graph":
            return await self._queried(request, call, token)
        reads = buckets.reads(call.subscription.casefold(), token)
        refusal = self.limits.spend(reads)
        if refusal is not None:
            limit = self.limits.description.principal_reads.capacity
            raise errors.throttled_by_arm(call.subscription, limit, refusal.wait)
        answer = operations.answer(self.fleet, call, self.clock.now(), seen=self.tenants.get(token))
        refusal = self.limits.spend(answer.charges)
        if refusal is not None:
            now = self.clock.now()
            raise errors.throttled_by_compute(
                refusal, start=azure_time(now - buckets.WINDOW), end=azure_time(now + refusal.wait)
            )
        response_headers = self._headers(answer, reads)
        body = msgspec.json.encode(oddities.distort(answer.document, call, struck))
        fault_of_wire = wire.wire_fault(struck)
        if fault_of_wire is not None:
            return await wire.send_badly(
                request, body, dict(response_headers), fault=fault_of_wire, closing=self._closing
            )
        response = await wire.send(request, body, response_headers)
        if self.limits.description.separate_headers:
            for value in self._remaining(answer):
                response.headers.add("x-ms-ratelimit-remaining-resource", value)
        return response

    async def _queried(self, request: web.Request, call: Call, token: str) -> web.StreamResponse:
        charge = buckets.graph_query(token)
        if refusal := self.limits.spend([charge]):
            raise errors.throttled_by_graph(refusal.wait)
        call.body = msgspec.json.decode(await request.read())
        document = self.graph.answer(call, seen=self.tenants.get(token))
        wait = self.limits.resets_after(charge)
        headers = self._identifiers() | errors.graph_quota(self.limits.remaining(charge), wait)
        return await wire.send(request, msgspec.json.encode(document), headers)

    def _check_token(self, request: web.Request) -> str:
        header = request.headers.get("Authorization")
        if header is None:
            message = "Authentication failed. The 'Authorization' header is missing."
            raise errors.unauthorized("AuthenticationFailed", message)
        scheme, _, token = header.partition(" ")
        if scheme.casefold() == "bearer" and token in self.expired_tokens:
            raise errors.unauthorized(
                "ExpiredAuthenticationToken",
                "The access token expiry UTC time '5/13/2024 6:05:58 PM' is earlier than current "
                "UTC time '5/13/2024 8:21:34 PM'.",
            )
        if scheme.casefold() != "bearer" or token not in self.tokens:
            raise errors.unauthorized("InvalidAuthenticationToken", "The access token is invalid.")
        return token

    def _check_call(self, request: web.Request, call: Call | None, token: str) -> Call:
        is_query = call is not None and call.operation == "graph"
        if request.method != ("POST" if is_query else "GET"):
            raise errors.method_not_allowed(request.method)
        if call is None:
            raise errors.path_not_found(request.path)
        seen = self.tenants.get(token)
        if seen is not None and call.subscription and call.subscription.casefold() not in seen:
            raise errors.wrong_tenant()
        return call

    async def _instead(
        self, request: web.Request, call: Call, fault: Fault, token: str
    ) -> web.StreamResponse | None:
        """What a fault answers instead of Azure, or None; raises ArmError for error answers."""
        error = fault_answers.error_instead(fault, call, self.clock.now())
        if error is not None:
            raise error
        if fault.kind == "claims_challenge" and fault.refuses(token):
            raise errors.claims_challenge(fault_answers.CLAIMS)
        if fault.kind == "delay":
            await wire.wait(fault.seconds, self._closing)
        if fault.kind in ("reset", "stalled"):
            return await wire.leave_unanswered(request, fault, self._closing)
        return fault_answers.page_instead(fault, call.origin)

    async def _answer_token(self, request: web.Request) -> web.StreamResponse:
        self.fleet.advance(self.clock.now())
        received = self._remember(request, None, operation="token")
        response: web.StreamResponse | None = None
        for fault in self.faults.strike(
            operation="token", scale_set=None, page=None, elapsed=self.fleet.elapsed
        ):
            if fault.kind in ("status", "throttled"):
                status = 429 if fault.kind == "throttled" else fault.status
                response = token_service.refuse(status, "The token cannot be given now.")
            elif fault.kind in ("reset", "stalled"):
                response = await wire.leave_unanswered(request, fault, self._closing)
            else:
                response = fault_answers.page_instead(fault, str(request.url.origin()))
        if response is None:
            response = token_service.respond(
                request,
                secret=self._identity_secret,
                token=self.issued_token,
                lifetime=self.token_lifetime,
            )
        received.status = response.status
        return response

    def _headers(self, answer: Answer, reads: tuple[buckets.Charge, ...]) -> dict[str, str]:
        principal, subscription = (self.limits.remaining(charge) for charge in reads)
        headers = self._identifiers() | {
            "x-ms-ratelimit-remaining-subscription-reads": str(principal),
            "x-ms-ratelimit-remaining-subscription-global-reads": str(subscription),
        }
        if answer.viewed:
            headers["x-ms-request-charge"] = str(answer.viewed)
        if answer.fans_out:
            headers["x-ms-original-request-ids"] = f"{uuid.uuid4()},{uuid.uuid4()}"
        elif not self.limits.description.separate_headers:
            headers["x-ms-ratelimit-remaining-resource"] = ",".join(self._remaining(answer))
        return headers

    def _identifiers(self) -> dict[str, str]:
        request_id = str(uuid.uuid4())
        second = datetime.fromtimestamp(self.clock.now(), UTC)
        return {
            "Cache-Control": "no-cache",
            "x-ms-request-id": request_id,
            "x-ms-correlation-request-id": request_id,
            "x-ms-routing-request-id": f"WESTEUROPE:{second:%Y%m%dT%H%M%SZ}:{request_id}",
        }

    def _remaining(self, answer: Answer) -> list[str]:
        return [
            f"Microsoft.Compute/{charge.policy};{self.limits.remaining(charge)}"
            for charge in answer.charges
        ]

    def _remember(
        self, request: web.Request, call: Call | None, *, operation: str | None = None
    ) -> ReceivedRequest:
        received = ReceivedRequest(
            method=request.method,
            path=request.rel_url.raw_path,
            query=request.rel_url.raw_query_string,
            operation=call.operation if call else operation,
            scale_set=call.name if call else None,
            page=call.page if call else None,
            authorized="Authorization" in request.headers,
            accept_encoding=request.headers.get("Accept-Encoding", ""),
            time=self.clock.now(),
        )
        self.requests.append(received)
        return received
