"""The pages in a real browser: nothing is refused, nothing is fetched, and axe-core is content."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestServer

from exporter.azure.errors import TimedOut
from exporter.discovery.discovery import SearchStatus
from exporter.discovery.finder import Failure, Search
from exporter.model.quota import QuotaUse
from exporter.model.scale_set import ScaleSetModel
from exporter.web.application import make_application
from support.answers import SUBSCRIPTION
from support.clock import FakeClock
from support.pages import FAILED, SUCCEEDED, WEB, WELL, as_azure_sends, item
from support.prometheus import tool
from support.site import WebCase

pytestmark = [pytest.mark.prometheus, pytest.mark.xdist_group("browser")]

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
WIDTHS = {"phone": 390, "desk": 1440}
SEVERE = {"serious", "critical"}
VIEWS: list[dict[str, Any]] = [
    WELL,
    FAILED,
    {"statuses": [{"code": "PowerState/deallocated"}, SUCCEEDED]},
    {"statuses": [{"code": "PowerState/starting"}, SUCCEEDED]},
    {"statuses": []},
    {
        **WELL,
        "vmAgent": {"statuses": [{"code": "ProvisioningState/Unavailable", "level": "Warning"}]},
    },
    {
        **WELL,
        "computerName": "a-computer-with-a-long-name-that-has-to-be-broken-somewhere",
        "extensions": [
            {
                "name": "<script>alert(1)</script>",
                "statuses": [
                    {
                        "code": "ProvisioningState/failed/1",
                        "level": "Error",
                        "message": "<img src=https://elsewhere.example/x onerror=alert(2)>\n" * 9,
                    }
                ],
            }
        ],
        "disks": [{"name": "os", "statuses": [SUCCEEDED]}],
    },
]
PAGES = {
    "fleet": "/",
    "fleet searched": "/?q=web&state=problems",
    "fleet without a match": "/?q=nothing",
    "set": WEB,
    "set of which polls fail": f"/scale-sets/{SUBSCRIPTION}/rg-web/Batch",
    "set never polled": f"/scale-sets/{SUBSCRIPTION}/rg-web/new",
    "instance": f"{WEB}/1",
    "instance with a message": f"{WEB}/6",
    "nothing": "/scale-sets/s/g/nothing",
}


async def small_fleet() -> WebCase:
    case = WebCase(FakeClock())
    case.site.tags = ("team",)
    case.site.grafana_url = "https://grafana.example.com"
    case.site.portal_url = "https://portal.azure.com"
    case.site.quotas = lambda: [QuotaUse(SUBSCRIPTION, "westeurope", "Views", 90.0, 100.0)]
    failed = Search(failures=[Failure("subscription s", "permission", "no role")])
    case.site.searches = lambda: [SearchStatus(0, failed, 1, 1000.0)]
    items = [
        item({**view, "platformFaultDomain": n % 2, "platformUpdateDomain": n % 3}, str(n))
        for n, view in enumerate(VIEWS)
    ]
    for name in ("web", "Batch"):
        case.source.pages[name] = list(as_azure_sends(*items))
        case.source.models[name] = ScaleSetModel(
            location="westeurope", sku="Standard_D4s_v5", capacity=9, tags={"team": "shop"}
        )
    await case.poll()
    case.source.pages["Batch"] = [TimedOut("the list took too long")]
    await case.poller.poll(case.states[1])
    case.polling.add("new")
    return case


@contextmanager
def served() -> Iterator[str]:
    """The pages of a small fleet, served by a loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="pages")
    thread.start()

    async def start() -> TestServer:
        server = TestServer(make_application((await small_fleet()).site))
        await server.start_server()
        return server

    try:
        server = asyncio.run_coroutine_threadsafe(start(), loop).result(timeout=10)
        try:
            yield str(server.make_url("")).rstrip("/")
        finally:
            asyncio.run_coroutine_threadsafe(server.close(), loop).result(timeout=10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    tool("chromium")
    with served() as url:
        yield url


@pytest.fixture(scope="module")
def browser(site: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert site
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=tool("chromium"), headless=True, args=FLAGS
        )
        yield chromium
        chromium.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_quiet_at_home_and_accessible(
    site: str, browser: Any, width: str, scheme: Literal["light", "dark"]
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(
        viewport={"width": WIDTHS[width], "height": 900}, color_scheme=scheme
    )
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []

    def refuse(dialog: Any) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", refuse)
    page.on("request", lambda request: asked.append(request.url))
    for name, path in PAGES.items():
        said.clear()
        answer = page.goto(site + path)
        if answer.status == 404:  # Chromium itself says so
            said[:] = [text for text in said if "404" not in text]
        assert not said, (name, said)
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, f"{name} is wider than the screen by {overflow}"
        found = [
            (one["id"], one["impact"], [node["html"][:200] for node in one["nodes"][:3]])
            for one in Axe().run(page).response["violations"]
            if one["impact"] in SEVERE
        ]
        assert not found, (name, found)
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(site).netloc}
    context.close()


def test_the_keyboard_and_the_form_lead_to_a_machine(site: str, browser: Any) -> None:
    page = browser.new_page()
    page.goto(site + "/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.get_by_label("Text").fill("batch")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=batch**")
    page.get_by_role("link", name="Batch").first.click()
    page.get_by_label("State").select_option("failed")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("table", name="Instances").get_by_role("link", name="1", exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("1")
    page.get_by_text("Commands that change the instance").click()
    assert page.get_by_text("az vmss restart").is_visible()
    page.close()
