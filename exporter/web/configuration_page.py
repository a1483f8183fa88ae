"""`/-/reload` and `/config`: the configuration, put in force anew and shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from exporter.web.responses import Responses

_YAML = {"Content-Type": "text/yaml; charset=utf-8", "Cache-Control": "no-store"}

Reload = Callable[[], Awaitable[tuple[str, ...]]]
Shown = Callable[[], Awaitable[str]]


class ConfigurationPage:
    """Answers about the configuration in force.

    Args:
        reload: what reloads the configuration and tells what was wrong; None where disabled.
        shown: what makes the YAML without secrets; None where there is none.
    """

    def __init__(
        self,
        responses: Responses,
        *,
        reload: Callable[[], Reload | None],
        shown: Callable[[], Shown | None],
    ) -> None:
        self._responses = responses
        self._reload = reload
        self._shown = shown

    async def reload(self, request: web.Request) -> web.StreamResponse:
        """Reload, and answer when that has ended: 200, or 500 with every problem on a line."""
        reload = self._reload()
        if reload is None:
            text = "Reloading by HTTP is not enabled: start with --web.enable-lifecycle.\n"
            return await self._responses.text(request, text, status=403)
        problems = await reload()
        if problems:
            text = "".join(f"configuration not reloaded: {problem}\n" for problem in problems)
            return await self._responses.text(request, text, status=500)
        return await self._responses.text(request, "configuration reloaded\n")

    async def show(self, request: web.Request) -> web.StreamResponse:
        """The configuration in force, without its secrets."""
        shown = self._shown()
        if shown is None:
            raise web.HTTPNotFound
        text = (await shown()).encode()
        return await self._responses.stream(request, iter((text,)), _YAML)
