"""Opening the pages for people, and what Azure says of the instances on them."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from aiohttp import web
from aiohttp.test_utils import TestClient

from exporter.azure.decode import decode_instance_page
from exporter.model.instance_view import InstancePage
from support.answers import SUBSCRIPTION
from support.html import Element, parse

Client: TypeAlias = TestClient[web.Request, web.Application]

WEB = f"/scale-sets/{SUBSCRIPTION}/rg-web/web"
SINCE = "2024-01-01T00:00:00Z"
RUNNING = {"code": "PowerState/running", "level": "Info"}
SUCCEEDED = {"code": "ProvisioningState/succeeded", "level": "Info", "time": SINCE}
WELL = {"statuses": [RUNNING, SUCCEEDED]}
FAILED = {
    "statuses": [
        RUNNING,
        {
            "code": "ProvisioningState/failed/AllocationFailed",
            "level": "Error",
            "time": SINCE,
            "message": "no room left",
        },
    ]
}


async def opened(client: Client, path: str = "/", *, status: int = 200) -> Element:
    """The page at a path."""
    answer = await client.get(path, headers={"Accept-Encoding": "identity"})
    text = (await answer.read()).decode()
    assert answer.status == status, text[:200]
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return parse(text)


def item(view: Any, instance_id: str = "0", **fields: Any) -> dict[str, Any]:
    """An item of Azure's list."""
    properties = fields.pop("properties", {})
    return {"instanceId": instance_id, "properties": {"instanceView": view, **properties}, **fields}


def as_azure_sends(*items: dict[str, Any]) -> list[InstancePage]:
    """The pages of a list as they are decoded, with Azure's own texts."""
    return list(decode_instance_page(json.dumps({"value": items}).encode()))
