"""The page for people: every set, how its polls stand, and nothing that is markup."""

from __future__ import annotations

import re
from dataclasses import replace

from aiohttp import web
from aiohttp.test_utils import TestClient

from exporter.azure.errors import TimedOut
from exporter.model.scale_set import ScaleSetId, Target
from exporter.web.landing import landing_page
from support.answers import instance
from support.site import WebCase
from support.source import page

ODD = "<b>\"&'"


async def rows(client: TestClient[web.Request, web.Application]) -> dict[str, list[str]]:
    """What the table says, by the name of the set."""
    answer = await client.get("/", headers={"Accept-Encoding": "identity"})
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    text = (await answer.read()).decode()
    found = re.findall(r"<tr><td><a href=\"[^\"]*\">([^<]*)</a></td>(.*?)</tr>", text)
    return {name: re.findall(r"<td>([^<]*)</td>", cells) for name, cells in found}


async def test_a_set_is_up_or_has_the_reason_why_not(
    client: TestClient[web.Request, web.Application], case: WebCase
) -> None:
    assert await rows(client) == {
        "web": ["rg-web", "not polled yet", ""],
        "Batch": ["rg-web", "not polled yet", ""],
    }
    case.source.pages["web"] = [page(instance({}, instance_id="1"), instance({}, instance_id="2"))]
    case.source.pages["Batch"] = [TimedOut("the list took too long")]
    await case.poll()
    assert await rows(client) == {
        "web": ["rg-web", "up", "2"],
        "Batch": ["rg-web", "timeout", ""],
    }
    case.source.pages["web"] = [TimedOut("the list took too long")]
    await case.poll()
    assert (await rows(client))["web"] == ["rg-web", "timeout", "2"], "the last good data stay"


async def test_no_name_is_markup(case: WebCase) -> None:
    scale_set = ScaleSetId(ODD, f"g{ODD}", f"n{ODD}")
    state = case.polling.targets.add(Target(scale_set, 60.0))
    state.data.poll = replace(state.data.poll, reason=f"r{ODD}")
    chunks = landing_page(case.polling.targets, version=f"v{ODD}", telemetry_path=f"/{ODD}")
    text = b"".join(chunks).decode()
    escaped = "&lt;b&gt;&quot;&amp;&#x27;"
    for where in (
        f"<td>g{escaped}</td>",
        f">n{escaped}</a>",
        f'href="api/v1/scale_sets/{escaped}/g{escaped}/n{escaped}"',
        f"<td>r{escaped}</td>",
        f"Version v{escaped}.",
        f'href="/{escaped}"',
    ):
        assert where in text
    assert ODD not in text
    assert "<b>" not in text


async def test_a_row_is_a_piece_of_its_own(case: WebCase) -> None:
    chunks = list(landing_page(case.polling.targets, version="1", telemetry_path="/metrics"))
    assert len(chunks) == len(case.states) + 2
    assert b"in 2 Azure virtual machine scale sets" in chunks[0]
    assert chunks[-1].endswith(b"</html>\n")
