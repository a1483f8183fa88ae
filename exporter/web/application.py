"""The endpoints. None of them polls: they hand out what the polls have left ready."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

import structlog
from aiohttp import web

from exporter.clock import Clock
from exporter.model.scale_set import ScaleSetId
from exporter.polling.record import Record
from exporter.turns import Turns
from exporter.web.exposition import Exposition
from exporter.web.formats import accepts_gzip, choose_format
from exporter.web.scale_set_json import describe, encode

CHUNK = 256 * 1024
"""Bytes of an answer that are made and sent at a time."""

COMPRESS_LEVEL = 4
"""Half the time of zlib's default for a few per cent more bytes, on JSON."""


READER_LIMIT = 120.0
"""Seconds that a reader may take for one answer: no scrape timeout is longer, and all that time
the answer's bytes are held."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Site:
    """What the endpoints show; after a reload of the configuration they show something else.

    Attributes:
        exposition: the page of metrics.
        records: the targets.
        clock: the time.
        ready: whether every target was tried, or the time for it is over.
        version: the running version.
        telemetry_path: the path of the metrics.
        messages: whether Azure's messages are shown (`web.messages`).
        reader_limit: seconds that a reader may take for one answer.
        turns: the turns on the event loop, in which answers come first.
    """

    exposition: Exposition
    records: Sequence[Record]
    clock: Clock
    ready: Callable[[], bool]
    version: str
    telemetry_path: str = "/metrics"
    messages: bool = True
    reader_limit: float = READER_LIMIT
    turns: Turns = field(default_factory=Turns)

    def record(self, scale_set: ScaleSetId) -> Record | None:
        """The record of a scale set, named in any letter case; None if it is not polled here."""
        key = scale_set.key
        return next((r for r in self.records if r.target.scale_set.key == key), None)


def make_application(site: Site) -> web.Application:
    """Build the aiohttp application that serves the site."""
    endpoints = _Endpoints(site)
    application = web.Application()
    application.add_routes(
        [
            web.get(site.telemetry_path, endpoints.metrics),
            web.get("/-/healthy", endpoints.healthy),
            web.get("/healthz", endpoints.healthy),
            web.get("/-/ready", endpoints.ready),
            web.get("/readyz", endpoints.ready),
            web.get("/api/v1/scale_sets/{subscription}/{group}/{name}", endpoints.scale_set),
        ]
    )
    if site.telemetry_path != "/":
        application.router.add_get("/", endpoints.landing)
    return application


class _Endpoints:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        page_format = choose_format(request.headers.get("Accept", ""))
        names = frozenset(request.query.getall("name[]", ()))
        with self._site.turns.answer():
            page = await self._site.exposition.page(page_format, names)
        headers = _headers(page_format.content_type)
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            chunks, length = page.gzip_chunks(CHUNK), page.gzip_length
        else:
            chunks, length = page.plain_chunks(CHUNK), page.length
        return await self._send(request, headers, chunks, length, on_sent=page.on_sent)

    async def healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="azure-vmss-exporter is healthy.\n")

    async def ready(self, _: web.Request) -> web.Response:
        if self._site.ready():
            return web.Response(text="azure-vmss-exporter is ready.\n")
        return web.Response(status=503, text="Not ready: not every scale set was tried yet.\n")

    async def scale_set(self, request: web.Request) -> web.StreamResponse:
        wanted = ScaleSetId(
            request.match_info["subscription"],
            request.match_info["group"],
            request.match_info["name"],
        )
        record = self._site.record(wanted)
        content_type = "application/json; charset=utf-8"
        if record is None:
            body = b'{"error":"not a scale set that is polled here"}\n'
            return await self._respond(request, body, content_type, status=404)
        head, details = describe(record, self._site.clock, messages=self._site.messages)
        body = await asyncio.to_thread(encode, head, details)
        return await self._respond(request, body, content_type)

    async def landing(self, request: web.Request) -> web.StreamResponse:
        monotonic = self._site.clock.monotonic()
        rows = "".join(_landing_row(record, monotonic) for record in self._site.records)
        body = _LANDING.format(
            version=escape(self._site.version),
            metrics=escape(self._site.telemetry_path),
            count=len(self._site.records),
            rows=rows,
        )
        return await self._respond(request, body.encode(), "text/html; charset=utf-8")

    async def _respond(
        self, request: web.Request, body: bytes, content_type: str, *, status: int = 200
    ) -> web.StreamResponse:
        headers = _headers(content_type)
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            # One member: curl and others read no further than the first.
            body = await asyncio.to_thread(gzip.compress, body, COMPRESS_LEVEL)
            headers["Content-Encoding"] = "gzip"
        return await self._send(request, headers, (body,), len(body), status=status)

    async def _send(
        self,
        request: web.Request,
        headers: dict[str, str],
        chunks: Iterable[bytes],
        length: int,
        *,
        status: int = 200,
        on_sent: Callable[[], None] | None = None,
    ) -> web.StreamResponse:
        """Send a body piece by piece, as the reader takes it, for as long as it may take."""
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = length
        try:
            async with asyncio.timeout(self._site.reader_limit):
                await response.prepare(request)
                with self._site.turns.answer():
                    if request.method != "HEAD":
                        for chunk in chunks:
                            await response.write(chunk)
                            # A quick reader never makes it wait: a large page would hold the loop.
                            await asyncio.sleep(0)
                    await response.write_eof()
            if on_sent is not None and request.method != "HEAD":
                on_sent()
        except TimeoutError:
            _log.warning("slow reader cut off", path=request.path, seconds=self._site.reader_limit)
            if request.transport is not None:
                request.transport.abort()
        return response


def _headers(content_type: str) -> dict[str, str]:
    return {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}


def _landing_row(record: Record, monotonic: float) -> str:
    scale_set = record.target.scale_set
    snapshot = record.live_snapshot(monotonic)
    path = f"{scale_set.subscription_id}/{scale_set.resource_group}/{scale_set.name}"
    state = "up" if record.poll.up else (record.poll.reason or "not polled yet")
    instances = snapshot.mapped.instances if snapshot else ""
    return (
        f'<tr><td><a href="api/v1/scale_sets/{escape(path)}">{escape(scale_set.name)}</a></td>'
        f"<td>{escape(scale_set.resource_group)}</td><td>{escape(state)}</td>"
        f"<td>{instances}</td></tr>\n"
    )


_LANDING = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>azure-vmss-exporter</title>
<style>body {{ font-family: sans-serif; margin: 2em }} td, th {{ text-align: left;
padding: 0.2em 1em 0.2em 0 }}</style></head>
<body>
<h1>azure-vmss-exporter</h1>
<p>Version {version}. State of every VM in {count} Azure virtual machine scale sets.</p>
<p><a href="{metrics}">Metrics</a> · <a href="-/healthy">Health</a> ·
<a href="-/ready">Readiness</a></p>
<table>
<tr><th>Scale set</th><th>Resource group</th><th>State</th><th>Instances</th></tr>
{rows}</table>
</body>
</html>
"""
