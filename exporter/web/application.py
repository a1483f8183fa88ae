"""The endpoints. None of them polls: they hand out what the polls have left ready."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporter.discovery.discovery import SearchStatus
from exporter.exposition.content_type import accepts_gzip, choose_format
from exporter.model.quota import QuotaUse
from exporter.model.scale_set import ScaleSetId
from exporter.polling.targets import Targets
from exporter.runtime.clock import Clock
from exporter.runtime.cooperative import CooperativeScheduler
from exporter.runtime.rate_limited_log import RateLimitedLog
from exporter.web import headers, scale_set_json
from exporter.web.bodies import PAGE_CHUNK
from exporter.web.configuration_page import ConfigurationPage
from exporter.web.metrics_page import MetricsPage
from exporter.web.pages.endpoints import Pages
from exporter.web.problems import HEADERS, BadQueryError, number, problem
from exporter.web.responses import CLIENT_LIMIT, Responses, abort, endpoint_of
from exporter.web.scrapes import MAX_REQUESTS, Scrapes
from exporter.web.service_discovery import ServiceDiscovery
from exporter.web.status_json import status_json

LISTED, MOST_LISTED = 1000, 10_000
"""Scale sets of one answer: by default, and at most."""

_JSON = {"Content-Type": "application/json; charset=utf-8"}

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Site:
    """What the endpoints show; after a reload of the configuration they show something else.

    Attributes:
        targets: the scale sets that are polled.
        ready: whether every target was tried, or the time for it is over.
        searches: how the searches for scale sets stand.
        configuration: the YAML of the configuration in force, without its secrets.
        reload: reloads the configuration, and tells what was wrong; None where that is disabled.
        messages: whether Azure's messages are shown (`web.messages`).
        tags: the tags of scale sets that may be shown (`metrics.tags`).
        quotas: how much is spent of Azure's limits.
        grafana_url: where Grafana is (`web.grafana_url`); empty for no links to it.
        portal_url: where Azure's portal is; empty for no links to it.
        max_requests: scrapes that are answered at a time; 0 for no limit.
        client_limit: seconds that a client may take for one answer.
        cooperative: lets scrapes go before other work.
    """

    metrics_page: MetricsPage
    targets: Targets
    clock: Clock
    ready: Callable[[], bool]
    version: str
    telemetry_path: str = "/metrics"
    searches: Callable[[], Iterable[SearchStatus]] = tuple
    configuration: Callable[[], Awaitable[str]] | None = None
    reload: Callable[[], Awaitable[tuple[str, ...]]] | None = None
    messages: bool = True
    tags: tuple[str, ...] = ()
    quotas: Callable[[], Iterable[QuotaUse]] = tuple
    grafana_url: str = ""
    portal_url: str = ""
    max_requests: int = MAX_REQUESTS
    client_limit: float = CLIENT_LIMIT
    cooperative: CooperativeScheduler = field(default_factory=CooperativeScheduler)


def make_application(site: Site) -> web.Application:
    """Build the aiohttp application that serves the site."""
    responses = Responses(cooperative=site.cooperative, client_limit=site.client_limit)
    endpoints = _Endpoints(site, responses)
    configuration = ConfigurationPage(
        responses, reload=lambda: site.reload, shown=lambda: site.configuration
    )
    application = web.Application(middlewares=[_answering_errors(responses)])
    application.on_response_prepare.append(_secure)
    application.add_routes(
        [
            web.get(site.telemetry_path, endpoints.metrics),
            web.get("/-/healthy", endpoints.healthy),
            web.get("/healthz", endpoints.healthy),
            web.get("/-/ready", endpoints.ready),
            web.get("/readyz", endpoints.ready),
            web.post("/-/reload", configuration.reload),
            web.put("/-/reload", configuration.reload),
            web.get("/config", configuration.show),
            web.get("/sd", endpoints.service_discovery),
            web.get("/api/v1/status", endpoints.status),
            web.get("/api/v1/scale_sets", endpoints.scale_sets),
            web.get("/api/v1/scale_sets/{subscription}/{group}/{name}", endpoints.scale_set),
        ]
    )
    pages = Pages(site, responses)
    application.add_routes(pages.routes(with_fleet=site.telemetry_path != "/"))
    return application


class _Endpoints:
    def __init__(self, site: Site, responses: Responses) -> None:
        self._site = site
        self._responses = responses
        self._scrapes = Scrapes(site.max_requests)
        self._discovery = ServiceDiscovery(site)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        with self._scrapes.answering(request) as admitted:
            if not admitted:
                most = self._site.max_requests
                text = f"Limit of concurrent requests reached ({most}), try again later.\n"
                return await self._responses.text(request, text, status=503)
            return await self._page(request)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        page_format = choose_format(request.headers.get("Accept", ""))
        names = frozenset(request.query.getall("name[]", ()))
        with self._site.cooperative.answer():
            page = await self._site.metrics_page.render(page_format, names)
        about = {"Content-Type": page_format.content_type, "Vary": "Accept, Accept-Encoding"}
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            about["Content-Encoding"] = "gzip"
            chunks, length = page.gzip_chunks(PAGE_CHUNK), page.gzip_length
        else:
            chunks, length = page.plain_chunks(PAGE_CHUNK), page.length
        return await self._responses.send(request, chunks, about, length=length)

    async def healthy(self, request: web.Request) -> web.StreamResponse:
        return await self._responses.text(request, "azure-vmss-exporter is healthy.\n")

    async def ready(self, request: web.Request) -> web.StreamResponse:
        if self._site.ready():
            return await self._responses.text(request, "azure-vmss-exporter is ready.\n")
        text = "Not ready: not every scale set was tried yet.\n"
        return await self._responses.text(request, text, status=503)

    async def service_discovery(self, request: web.Request) -> web.StreamResponse:
        if not (self._site.ready() and self._discovery.has_any):
            # Prometheus keeps the targets that it has.
            text = "No list yet: not every scale set was tried, or nothing is known of any.\n"
            return await self._responses.text(request, text, status=503)
        return await self._responses.stream(request, self._discovery.chunks(), _JSON)

    async def scale_set(self, request: web.Request) -> web.StreamResponse:
        wanted = ScaleSetId(
            request.match_info["subscription"],
            request.match_info["group"],
            request.match_info["name"],
        )
        state = self._site.targets.find(wanted)
        if state is None:
            detail = "Not a scale set that is polled here: /api/v1/scale_sets lists them."
            return await self._problem(request, HTTPStatus.NOT_FOUND, detail)
        body = scale_set_json.chunks(state, self._site.clock, messages=self._site.messages)
        return await self._responses.stream(request, body, _JSON)

    async def scale_sets(self, request: web.Request) -> web.StreamResponse:
        try:
            offset = number(request.query, "offset", default=0, least=0, most=1_000_000)
            limit = number(request.query, "limit", default=LISTED, least=1, most=MOST_LISTED)
        except BadQueryError as error:
            return await self._problem(request, HTTPStatus.BAD_REQUEST, str(error))
        site = self._site
        body = scale_set_json.list_chunks(
            tuple(site.targets), site.clock, messages=site.messages, offset=offset, limit=limit
        )
        return await self._responses.stream(request, body, _JSON)

    async def _problem(
        self, request: web.Request, status: HTTPStatus, detail: str
    ) -> web.StreamResponse:
        text = problem(status, detail)
        return await self._responses.text(request, text, headers=HEADERS, status=status)

    async def status(self, request: web.Request) -> web.StreamResponse:
        site = self._site
        body = status_json(
            site.targets, site.searches(), version=site.version, messages=site.messages
        )
        return await self._responses.stream(request, body, _JSON)


async def _secure(_: web.Request, response: web.StreamResponse) -> None:
    headers.secure(response)


def _answering_errors(responses: Responses) -> Middleware:
    """Answer what no endpoint answers, and failures, with a short text of our own."""
    failed = RateLimitedLog(_log, "request failed", level="exception")

    @web.middleware
    async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            text = f"{error.status} {error.reason}\n"
            about = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            return await responses.text(request, text, headers=about, status=error.status)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            failed(path=endpoint_of(request))
            if request.writer.output_size:
                # Half of an answer must not look like the whole.
                abort(request)
                return web.StreamResponse()
            return await responses.text(request, "500 Internal Server Error\n", status=500)

    return answer_errors
