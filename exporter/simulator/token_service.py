"""The token service of App Service's managed identity, as azure-identity asks it."""

from __future__ import annotations

import hmac
import time

from aiohttp import web

PATH = "/msi/token"
API_VERSION = "2019-08-01"


def respond(request: web.Request, *, secret: str, token: str, lifetime: float) -> web.Response:
    """Give out the token, or say what the request lacks."""
    given = request.headers.get("X-IDENTITY-HEADER", "")
    if not hmac.compare_digest(given.encode(), secret.encode()):
        return refuse(401, "The X-IDENTITY-HEADER header is missing or wrong.")
    if request.query.get("api-version") != API_VERSION:
        return refuse(400, "The api-version is not supported.")
    resource = request.query.get("resource")
    if not resource:
        return refuse(400, "The resource is missing.")
    return web.json_response(
        {
            "access_token": token,
            # By the machine's clock, as that is what the client's library reads it by.
            "expires_on": str(int(time.time() + lifetime)),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": request.query.get("client_id", "00000000-0000-0000-0000-000000000001"),
        }
    )


def refuse(status: int, message: str) -> web.Response:
    """An error in App Service's form."""
    return web.json_response({"statusCode": status, "message": message}, status=status)
