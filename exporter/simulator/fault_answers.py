"""The error answers that faults put in place of the wanted one."""

from __future__ import annotations

import base64

from aiohttp import web

from exporter.simulator import errors, wire
from exporter.simulator.buckets import Refusal
from exporter.simulator.calls import Call
from exporter.simulator.errors import UNAVAILABLE_HTML, ArmError, error
from exporter.simulator.faults import Fault
from exporter.simulator.times import azure_time

CLAIMS = base64.urlsafe_b64encode(
    b'{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}'
).decode()

_COMPUTE = "Microsoft.Compute/virtualMachineScaleSets"
_ACTIONS = {
    "instances": f"{_COMPUTE}/virtualMachines/read",
    "instance": f"{_COMPUTE}/virtualMachines/read",
    "scale_set": f"{_COMPUTE}/read",
    "scale_set_view": f"{_COMPUTE}/instanceView/read",
    "scale_sets": f"{_COMPUTE}/read",
    "virtual_machine": "Microsoft.Compute/virtualMachines/read",
    "virtual_machines": "Microsoft.Compute/virtualMachines/read",
    "subscriptions": "Microsoft.Resources/subscriptions/read",
    "resource_groups": "Microsoft.Resources/subscriptions/resourceGroups/read",
    "rolling_upgrade": f"{_COMPUTE}/rollingUpgrades/read",
    "lifecycle_hooks": f"{_COMPUTE}/lifecycleHookEvents/read",
    "standby_pool": "Microsoft.StandbyPool/standbyVirtualMachinePools/runtimeViews/read",
    "standby_pools": "Microsoft.StandbyPool/standbyVirtualMachinePools/read",
    "autoscale": "Microsoft.Insights/autoscaleSettings/read",
    "graph": "Microsoft.ResourceGraph/resources/read",
}
_BODIES = {
    400: ("InvalidParameter", "The request URL is not valid."),
    408: ("RequestTimeout", "The request timed out."),
    409: ("Conflict", "The request failed due to conflict with a concurrent request."),
    410: ("Gone", "The resource is no longer available."),
    500: ("InternalServerError", "An unexpected error occured while processing the request."),
    502: (
        "ProviderError",
        "Resource provider 'Microsoft.Compute' failed to return collection response.",
    ),
    503: ("ServerTimeout", "The request timed out."),
    504: (
        "GatewayTimeout",
        "The gateway did not receive a response from 'Microsoft.Compute' in time.",
    ),
}


def error_instead(fault: Fault, call: Call, now: float) -> ArmError | None:
    """The error that a fault answers instead of Azure; None for faults of another nature."""
    if fault.kind == "status":
        return status_error(fault, call)
    if fault.kind == "throttled":
        return throttle_error(fault, call, now)
    if fault.kind == "skiptoken_refused" and call.skiptoken is not None:
        return errors.invalid_skiptoken()
    return None


def page_instead(fault: Fault, origin: str) -> web.Response | None:
    """What a fault answers instead of Azure where that is not an error of Azure's, or None."""
    if fault.kind in ("unavailable_html", "html_200"):
        status = 503 if fault.kind == "unavailable_html" else 200
        page = web.Response(status=status, body=UNAVAILABLE_HTML.encode())
        page.headers["Content-Type"] = "text/html; charset=us-ascii"
    elif fault.kind == "empty_body":
        page = web.Response(headers={"Content-Type": wire.JSON_TYPE})
    elif fault.kind == "redirect":
        page = web.Response(status=302, headers={"Location": fault.url or f"{origin}/elsewhere"})
    else:
        return None
    if fault.retry_after is not None:
        page.headers["Retry-After"] = fault.retry_after
    return page


def status_error(fault: Fault, call: Call) -> ArmError:
    """The answer of a fault of kind `status`, in the words Azure has for it."""
    if fault.status == 401:  # noqa: PLR2004 - an HTTP status is its own name
        answer = errors.unauthorized("InvalidAuthenticationToken", "The access token is invalid.")
    elif fault.status == 403:  # noqa: PLR2004 - same
        answer = errors.forbidden(_ACTIONS[call.operation], _scope(call))
    elif fault.status == 404:  # noqa: PLR2004 - same
        answer = (
            errors.path_not_found(call.path)
            if call.name is None
            else errors.scale_set_not_found(call.name, call.group or "")
        )
    else:
        default = ("InternalServerError", "An error occured.")
        code, message = _BODIES.get(fault.status, default)
        answer = error(fault.status, code, message)
    if fault.retry_after is not None:
        answer.headers = answer.headers | {"Retry-After": fault.retry_after}
    return answer


def throttle_error(fault: Fault, call: Call, now: float) -> ArmError:
    """The answer of a fault of kind `throttled`, in the wanted one of Azure's shapes."""
    given = fault.retry_after or ""
    wait = float(given) if given.isdecimal() else 30.0
    refusal = Refusal(policy=fault.policy, wait=wait, allowed=30, measured=47)
    if fault.shape.startswith("crp"):
        answer = errors.throttled_by_compute(
            refusal,
            start=azure_time(now - 60.0),
            end=azure_time(now),
            wrapped=fault.shape != "crp_unwrapped",
            twice=fault.shape == "crp_two",
        )
    elif fault.shape == "arm":
        answer = errors.throttled_by_arm(call.subscription, 250, wait)
    elif fault.shape == "arm_resource":
        answer = error(
            429,
            "ResourceRequestsThrottled",
            f"Number of requests for subscription '{call.subscription}' and action "
            "'Microsoft.Compute/virtualMachineScaleSets/read' exceeded the limit of '50' for time "
            f"interval '00:05:00'. Please try again after '{wait:.0f}' seconds.",
        )
    elif fault.shape == "oldest":
        answer = error(429, "TooManyRequests", "The request is being throttled.")
    else:
        answer = error(429, "RetryableErrorDueToAnotherOperation", "A retryable error occurred.")
    if fault.retry_after is not None:
        answer.headers = answer.headers | {"Retry-After": fault.retry_after}
    return answer


def _scope(call: Call) -> str:
    if call.name is not None:
        return call.identity.resource_id
    scope = f"/subscriptions/{call.subscription}"
    return scope if call.group is None else f"{scope}/resourceGroups/{call.group}"
