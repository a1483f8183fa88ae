"""`/-/reload` and `/config`."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from support.site import WebCase

Client = TestClient[web.Request, web.Application]
LINES = "configuration not reloaded: web: wrong\nconfiguration not reloaded: also wrong\n"


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("problems", "status", "text"),
    [((), 200, "configuration reloaded\n"), (("web: wrong", "also wrong"), 500, LINES)],
)
async def test_a_reload_is_answered_when_it_has_ended(
    client: Client, case: WebCase, method: str, problems: tuple[str, ...], status: int, text: str
) -> None:
    async def reload() -> tuple[str, ...]:
        return problems

    case.site.reload = reload
    answer = await client.request(method, "/-/reload")
    assert (answer.status, await answer.text()) == (status, text)


async def test_nobody_may_reload_unless_it_is_enabled(client: Client) -> None:
    answer = await client.post("/-/reload")
    assert answer.status == 403
    assert "--web.enable-lifecycle" in await answer.text()


async def test_a_get_does_not_reload(client: Client, case: WebCase) -> None:
    case.site.reload = None
    answer = await client.get("/-/reload")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST,PUT")


async def test_the_configuration_is_always_shown_and_never_kept(
    client: Client, case: WebCase
) -> None:
    async def shown() -> str:
        return "polling:\n  interval: 30s\n"

    assert (await client.get("/config")).status == 404
    case.site.configuration = shown
    answer = await client.get("/config", headers={"Accept-Encoding": "identity"})
    assert (answer.status, await answer.text()) == (200, "polling:\n  interval: 30s\n")
    assert answer.headers["Cache-Control"] == "no-store"
