"""The pages' addresses, and what answers there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from exporter.model.scale_set import ScaleSetId
from exporter.polling.target_state import TargetState
from exporter.web.pages.fleet import fleet_page
from exporter.web.pages.fleet_filter import FleetFilter
from exporter.web.pages.instance import find_instance, instance_page
from exporter.web.pages.rendering import Rendering
from exporter.web.pages.scale_set import InstanceFilter, scale_set_page
from exporter.web.pages.site import PagesSite
from exporter.web.pages.texts import machine_time, when
from exporter.web.responses import Responses

_SET = "/scale-sets/{subscription}/{group}/{name}"


class Pages:
    """Answers with pages for people.

    Args:
        site: what they show.
        responses: sends them.
    """

    def __init__(self, site: PagesSite, responses: Responses) -> None:
        self._site = site
        self._responses = responses
        self._rendering = Rendering()
        self._with_fleet = True

    def routes(self, *, with_fleet: bool = True) -> list[web.RouteDef]:
        """Their addresses.

        Args:
            with_fleet: whether the fleet's page is at `/`, or something else is.
        """
        self._with_fleet = with_fleet
        routes = [web.get(_SET, self.scale_set), web.get(_SET + "/{instance_id}", self.instance)]
        return [web.get("/", self.fleet), *routes] if with_fleet else routes

    async def fleet(self, request: web.Request) -> web.StreamResponse:
        """The fleet."""
        with self._site.cooperative.answer():
            context = await fleet_page(self._site, FleetFilter.read(request.query))
        return await self._answer(request, "fleet.html", context)

    async def scale_set(self, request: web.Request) -> web.StreamResponse:
        """A set and its instances."""
        state = self._target(request)
        if state is None:
            return await self._missing(request, "This scale set is not polled here.")
        with self._site.cooperative.answer():
            wanted = InstanceFilter.read(request.query)
            context = await scale_set_page(self._site, state, wanted)
        return await self._answer(request, "scale_set.html", context)

    async def instance(self, request: web.Request) -> web.StreamResponse:
        """One instance."""
        state = self._target(request)
        if state is None:
            return await self._missing(request, "This scale set is not polled here.")
        with self._site.cooperative.answer():
            observed = await find_instance(state, request.match_info["instance_id"])
        if observed is None:
            text = "The scale set had no such instance at the last good poll."
            return await self._missing(request, text)
        context = await instance_page(self._site, state, observed)
        return await self._answer(request, "instance.html", context)

    def _target(self, request: web.Request) -> TargetState | None:
        found = request.match_info
        return self._site.targets.find(
            ScaleSetId(found["subscription"], found["group"], found["name"])
        )

    async def _missing(self, request: web.Request, text: str) -> web.StreamResponse:
        # Nothing of the request is repeated.
        return await self._answer(request, "missing.html", {"text": text}, status=404)

    async def _answer(
        self,
        request: web.Request,
        template: str,
        context: Mapping[str, Any],
        *,
        status: int = 200,
    ) -> web.StreamResponse:
        now = self._site.clock.now()
        resource = request.match_info.route.resource
        depth = resource.canonical.count("/") - 1 if resource is not None else 0
        about = {
            # The pages' links are relative, so that a prefix before them does not matter.
            "root": "../" * depth,
            "with_fleet": self._with_fleet,
            "metrics": self._site.telemetry_path.lstrip("/"),
            "version": self._site.version,
            "now": when(now),
            "now_machine": machine_time(now),
        }
        body = self._rendering.render(template, {**about, **context})
        return await self._responses.stream(request, body, self._rendering.headers, status=status)
