"""What Azure, an extension or a name says is text: never markup, never a secret, never endless."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest

from exporter.azure.errors import TimedOut
from exporter.model.scale_set import ScaleSetId, ScaleSetModel, Target
from exporter.web.pages.links import segment
from support.html import Element, parse
from support.pages import WEB, WELL, Client, as_azure_sends, item, opened
from support.site import WebCase

MARKUP = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}"
BIDI = "safe\u202etxt.exe\u2066\u200b\x1b[31m\x07end"
TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.abcdefghijkl"
SECRET = f"https://user:hunter2@host/?sig=abcdefgh0123 Bearer {TOKEN} password=hunter2"


def hostile_view(text: str) -> dict[str, object]:
    status = {"code": text, "level": text, "displayStatus": text, "message": text, "time": text}
    return {
        "statuses": [*WELL["statuses"], status],
        "computerName": text,
        "osName": text,
        "vmAgent": {"vmAgentVersion": text, "statuses": [status]},
        "extensions": [{"name": text, "type": text, "statuses": [status], "substatuses": [status]}],
        "disks": [{"name": text, "statuses": [status]}],
    }


async def pages_about(client: Client, case: WebCase, text: str) -> list[tuple[str, Element]]:
    """All pages of a fleet where everything is that text."""
    case.site.tags = ("team",)
    case.source.models["web"] = ScaleSetModel(
        location=text, sku=text, upgrade_policy=text, tags={"team": text}, provisioning_state=text
    )
    case.source.pages["web"] = list(as_azure_sends(item(hostile_view(text), "1", name=text)))
    await case.poll()
    case.source.pages["web"] = [TimedOut(text)]
    await case.poll()
    found = []
    for path in ("/", f"{WEB}?q=" + segment(text[:50]), WEB, f"{WEB}/1"):
        answer = await client.get(path, headers={"Accept-Encoding": "identity"})
        assert answer.status == 200
        body = (await answer.read()).decode()
        found.append((body, parse(body)))
    return found


async def test_no_text_is_markup(client: Client, case: WebCase) -> None:
    for body, document in await pages_about(client, case, MARKUP):
        assert not document.all("script")
        assert not document.all("img")
        assert not [e for e in document.elements() if any(a.startswith("on") for a in e.attributes)]
        assert "<script" not in body
        assert "49" not in re.sub(r"[\d:-]{4,}", "", document.text)


async def test_no_text_changes_how_others_are_shown(client: Client, case: WebCase) -> None:
    for body, document in await pages_about(client, case, BIDI):
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x1b\x07]", body)
        assert "[31m" not in document.text


async def test_no_secret_is_shown(client: Client, case: WebCase) -> None:
    for body, _ in await pages_about(client, case, SECRET):
        for secret in ("hunter2", "abcdefgh0123", TOKEN):
            # What the reader has typed comes back in the form.
            shown = re.sub(r'<input[^>]*value="[^"]*"', "", body)
            assert secret not in shown


async def test_a_megabyte_is_cut_at_a_kilobyte(client: Client, case: WebCase) -> None:
    for body, document in await pages_about(client, case, "é" * 1_000_000):
        assert len(body) < 60_000
        for one in document.all("pre"):
            assert len(one.text.encode()) <= 1024
            assert one.text.endswith("…")


@pytest.mark.parametrize(
    "name",
    ["a/b", "../../metrics", "a?b=c#d", "100%", "%2e%2e", "a b", "ü", "<b>", "q\"'", "a;b", "a:b"],
)
async def test_a_set_named_like_a_path_has_a_link_that_works(
    client: Client, case: WebCase, name: str
) -> None:
    target = Target(ScaleSetId("sub/1", "g?r", name), 60.0)
    state = case.polling.targets.add(target)
    case.source.pages[name] = list(as_azure_sends(item(WELL, name)))
    await case.poller.poll(state)
    (link,) = [
        one.attributes["href"]
        for one in (await opened(client, "/?group=g%3Fr")).all("a")
        if one.attributes["href"].startswith("scale-sets/")
    ]
    address = urljoin("http://host/", link)
    path = address.removeprefix("http://host")
    document = await opened(client, path)
    assert document.one("h1").text == name
    tile = document.all("a", of="tile")[0].attributes["href"]
    document = await opened(client, urljoin(address, tile).removeprefix("http://host"))
    assert document.one("h1").text == f"{name} well"
    back = next(a for a in document.one("nav", of="crumbs").all("a") if a.text == name)
    assert urljoin(urljoin(address, tile), back.attributes["href"]) == address


@pytest.mark.parametrize("name", [".", ".."])
async def test_a_name_that_no_path_can_have_is_no_link(
    client: Client, case: WebCase, name: str
) -> None:
    case.polling.targets.add(Target(ScaleSetId("s", "g-dots", name), 60.0))
    document = await opened(client, "/?group=g-dots")
    table = document.one("table", of="sets")
    assert name in table.text
    assert not table.all("a")
