"""What every answer tells a browser, and what it tells nobody."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TypeAlias

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from exporter.web.headers import policy_with_style, style_element
from support.answers import SUBSCRIPTION
from support.site import WebCase

Client: TypeAlias = TestClient[web.Request, web.Application]

SET = f"/api/v1/scale_sets/{SUBSCRIPTION}/rg-web/web"

ANSWERS = [
    ("GET", "/", 200),
    ("GET", "/?q=web", 200),
    ("GET", f"/scale-sets/{SUBSCRIPTION}/rg-web/web", 200),
    ("GET", f"/scale-sets/{SUBSCRIPTION}/rg-web/web/0", 404),
    ("GET", "/scale-sets/s/g/other", 404),
    ("GET", "/metrics", 200),
    ("HEAD", "/metrics", 200),
    ("GET", "/-/healthy", 200),
    ("GET", "/-/ready", 503),
    ("GET", SET, 200),
    ("GET", "/api/v1/scale_sets/s/g/other", 404),
    ("GET", "/nowhere", 404),
    ("POST", "/metrics", 405),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_every_answer_has_the_security_headers_and_no_version(
    client: Client, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Server"] == "azure-vmss-exporter"
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert "Content-Type" in answer.headers


async def test_a_failing_answer_has_the_security_headers_too(
    client: Client, case: WebCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case.site, "metrics_page", None)
    answer = await client.get("/metrics")
    assert answer.status == 500
    assert await answer.read() == b"500 Internal Server Error\n"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize("path", ["/", f"/scale-sets/{SUBSCRIPTION}/rg-web/web"])
async def test_a_page_is_allowed_its_own_style_and_forms_and_nothing_else(
    client: Client, path: str
) -> None:
    answer = await client.get(path, headers={"Accept-Encoding": "identity"})
    (style,) = re.findall(r"<style>(.*?)</style>", (await answer.read()).decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert not [part for part in policy if "unsafe" in part or "*" in part]


def test_a_style_sheet_that_ends_itself_is_refused() -> None:
    style = "p { color: red }"
    assert style in style_element(style)
    assert "sha256-" in policy_with_style(style)
    with pytest.raises(ValueError, match="markup"):
        style_element("</style><script>")


async def test_what_is_not_allowed_says_what_is(client: Client) -> None:
    answer = await client.post("/metrics")
    assert answer.headers["Allow"] == "GET,HEAD"
    assert await answer.text() == "405 Method Not Allowed\n"


async def test_a_404_repeats_nothing_of_the_request(client: Client) -> None:
    answer = await client.get("/nowhere/<script>?secret=1")
    assert await answer.read() == b"404 Not Found\n"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
