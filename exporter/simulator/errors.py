"""Azure's error answers, word for word as recorded where a recording exists."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec

from exporter.simulator.buckets import Refusal

GATEWAY = {"x-ms-failure-cause": "gateway"}
AUTHORIZATION_URI = "https://login.windows.net/00000000-0000-0000-0000-000000000000"

UNAVAILABLE_HTML = (
    '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">\r\n'
    "<HTML><HEAD><TITLE>Service Unavailable</TITLE>\r\n"
    '<META HTTP-EQUIV="Content-Type" Content="text/html; charset=us-ascii"></HEAD>\r\n'
    "<BODY><h2>Service Unavailable</h2>\r\n"
    "<hr><p>HTTP Error 503. The service is unavailable.</p>\r\n"
    "</BODY></HTML>\r\n"
)


@dataclass(eq=False)
class ArmError(Exception):
    """An error answer: raised anywhere in the answering of a request, sent as it is."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def error(
    status: int,
    code: str,
    message: str,
    *,
    target: str | None = None,
    headers: dict[str, str] | None = None,
) -> ArmError:
    """ARM's plain form of an error."""
    inner = {"code": code, "message": message}
    if target is not None:
        inner["target"] = target
    return ArmError(status, {"error": inner}, headers or {})


def unauthorized(code: str, message: str, problem: str = "invalid_token") -> ArmError:
    """401, with the challenge that names the authority."""
    challenge = (
        f'Bearer authorization_uri="{AUTHORIZATION_URI}", error="{problem}", '
        f'error_description="{message}"'
    )
    return error(401, code, message, headers=GATEWAY | {"WWW-Authenticate": challenge})


def wrong_tenant() -> ArmError:
    """The token is of another tenant than the subscription."""
    return unauthorized(
        "InvalidAuthenticationTokenTenant",
        "The access token is from the wrong issuer "
        "'https://sts.windows.net/22222222-2222-2222-2222-222222222222/'. It must match the tenant "
        "'https://sts.windows.net/33333333-3333-3333-3333-333333333333/' associated with this "
        "subscription.",
    )


def claims_challenge(claims: str) -> ArmError:
    """401 of continuous access evaluation: the token must be got anew with these claims."""
    message = "Continuous access evaluation resulted in challenge with result: InteractionRequired."
    challenge = (
        f'Bearer realm="", authorization_uri="{AUTHORIZATION_URI}/oauth2/authorize", '
        f'client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", '
        f'claims="{claims}"'
    )
    return error(
        401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": challenge}
    )


def forbidden(action: str, scope: str) -> ArmError:
    """403, naming the action that the caller's role lacks."""
    client = "894ef8da-7971-4f68-972c-f561441eb329"
    return error(
        403,
        "AuthorizationFailed",
        f"The client '{client}' with object id '{client}' does not have authorization to perform "
        f"action '{action}' over scope '{scope}' or the scope is invalid. If access was recently "
        "granted, please refresh your credentials.",
        headers=GATEWAY,
    )


def missing_api_version() -> ArmError:
    """400: no api-version in the query."""
    return error(
        400,
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
        headers=GATEWAY,
    )


def invalid_api_version(version: str) -> ArmError:
    """400: an api-version that no resource provider of ours knows."""
    return error(
        400,
        "InvalidApiVersionParameter",
        f"The api-version '{version}' is invalid. The supported versions are "
        "'2026-04-01,2025-04-01,2024-07-01,2023-09-01,2017-03-30,2016-04-30-preview'.",
        headers=GATEWAY,
    )


def subscription_not_found(subscription_id: str) -> ArmError:
    """404 of ARM itself."""
    message = f"The subscription '{subscription_id}' could not be found."
    return error(404, "SubscriptionNotFound", message, headers=GATEWAY)


def resource_group_not_found(name: str) -> ArmError:
    """404 of ARM itself."""
    message = f"Resource group '{name}' could not be found."
    return error(404, "ResourceGroupNotFound", message, headers=GATEWAY)


def scale_set_not_found(name: str, resource_group: str) -> ArmError:
    """404 of ARM itself: the scale set does not exist."""
    return _not_found(f"virtualMachineScaleSets/{name}", resource_group)


def machine_not_found(name: str, resource_group: str) -> ArmError:
    """404 of ARM itself: the virtual machine does not exist."""
    return _not_found(f"virtualMachines/{name}", resource_group)


def _not_found(what: str, resource_group: str) -> ArmError:
    return error(
        404,
        "ResourceNotFound",
        f"The Resource 'Microsoft.Compute/{what}' under resource group "
        f"'{resource_group}' was not found. For more details please go to "
        "https://aka.ms/ARMResourceNotFoundFix",
        headers=GATEWAY,
    )


def no_rolling_upgrade() -> ArmError:
    """404: the set never had a rolling upgrade."""
    message = "The entity was not found in this Azure location."
    return error(404, "NotFound", message)


def instance_not_found() -> ArmError:
    """404 of Compute: the instance is gone."""
    return error(404, "NotFound", "The entity was not found in this Azure location.")


def path_not_found(path: str) -> ArmError:
    """404 for what the simulator does not know at all."""
    return error(404, "InvalidResourceType", f"No resource is known at '{path}'.", headers=GATEWAY)


def method_not_allowed(method: str) -> ArmError:
    """405: nothing here can be changed over the API."""
    message = f"The requested resource does not support http method '{method}'."
    return error(405, "MethodNotAllowed", message, headers={"Allow": "GET"})


def invalid_parameter(message: str, target: str) -> ArmError:
    """400 of Compute, for a query parameter or an instance id."""
    return error(400, "InvalidParameter", message, target=target)


def invalid_skiptoken() -> ArmError:
    """400: a skiptoken that is not one of ours."""
    return invalid_parameter("The request URL is not valid.", "$skiptoken")


def not_allowed_on_flexible(operation: str, scale_set: str) -> ArmError:
    """400: the call does not exist for Flexible orchestration."""
    return error(
        400,
        "BadRequest",
        f"Operation '{operation}' is not allowed on Virtual Machine Scale Set '{scale_set}'.",
    )


def throttled_by_compute(
    refusal: Refusal, *, start: str, end: str, wrapped: bool = True, twice: bool = False
) -> ArmError:
    """429 of Microsoft.Compute: the details hold JSON inside a string."""
    details = [_throttle_detail(refusal.policy, refusal, start, end)]
    if twice:
        details.append(_throttle_detail("HighCostGetVMScaleSet30Min", refusal, start, end))
    inner: dict[str, Any] = {
        "code": "OperationNotAllowed",
        "message": "The server rejected the request because too many requests have been received "
        "for this subscription.",
        "details": details,
        "innererror": {"internalErrorCode": "TooManyRequestsReceived"},
    }
    headers = {"Retry-After": str(max(1, math.ceil(refusal.wait)))}
    return ArmError(429, {"error": inner} if wrapped else inner, headers)


def throttled_by_arm(subscription_id: str, limit: int, wait: float) -> ArmError:
    """429 of ARM: how long to wait stands in the message only."""
    return error(
        429,
        "SubscriptionRequestsThrottled",
        f"Number of read requests for subscription '{subscription_id}' exceeded the limit of "
        f"'{limit}' for time interval '00:00:10'. Please try again after "
        f"'{max(1, math.ceil(wait))}' seconds.",
        headers=GATEWAY,
    )


def throttled_by_graph(wait: float) -> ArmError:
    """429 of Resource Graph."""
    return error(
        429,
        "RateLimiting",
        "Please provide below info when asking for support: timestamp, correlationId. Client "
        "application has been throttled and should not attempt to repeat the request until an "
        "amount of time has elapsed.",
        headers=graph_quota(0, wait) | {"Retry-After": str(max(1, math.ceil(wait)))},
    )


def graph_quota(remaining: int, wait: float) -> dict[str, str]:
    """What Resource Graph tells of a client's quota."""
    return {
        "x-ms-user-quota-remaining": str(remaining),
        "x-ms-user-quota-resets-after": f"00:00:{max(1, math.ceil(wait)):02d}",
    }


def invalid_query(problem: str) -> ArmError:
    """400 of Resource Graph: the query cannot be understood."""
    inner = {
        "code": "BadRequest",
        "message": "Please provide below info when asking for support.",
        "details": [{"code": "InvalidQuery", "message": f"Query is invalid. {problem}"}],
    }
    return ArmError(400, {"error": inner})


def _throttle_detail(policy: str, refusal: Refusal, start: str, end: str) -> dict[str, str]:
    facts = {
        "operationGroup": policy,
        "startTime": start,
        "endTime": end,
        "allowedRequestCount": refusal.allowed,
        "measuredRequestCount": refusal.measured,
    }
    return {
        "code": "TooManyRequests",
        "target": policy,
        "message": msgspec.json.encode(facts).decode(),
    }
