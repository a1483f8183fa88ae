"""From an HTTP answer that is no success to the error that tells what to do about it."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import NamedTuple

from multidict import CIMultiDictProxy

from exporter.azure.decode import ErrorBody, decode_error
from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    FlexibleNotSupported,
    Forbidden,
    Missing,
    NotFound,
    Rejected,
    ServerFailed,
    TimedOut,
    Unauthenticated,
    Unreachable,
)
from exporter.azure.ratelimit import retry_after
from exporter.azure.throttling import throttled
from exporter.model.scale_set import ScaleSetId
from exporter.redaction import clean

_ACTION = re.compile(r"perform action '([A-Za-z0-9./*_-]{1,200})'")
_SCOPE = re.compile(r"over scope '([^']{1,400})'")
_FLEXIBLE = re.compile(r"'virtualMachineScaleSets\.[^']*' is not allowed on", re.IGNORECASE)
_MISSING: dict[str, Missing] = {
    "resourcegroupnotfound": "resource group",
    "subscriptionnotfound": "subscription",
    "invalidsubscriptionid": "subscription",
}
# The only codes of a 404 that say that the set does not exist.
_REMOVING = ("resourcenotfound", "resourcegroupnotfound")
# A 404 about the address itself: the resource may well be there.
_WRONG_ADDRESS = ("invalidresourcetype", "invalidresourcenamespace", "missingsubscription")
_STALE_LINK = ("invalidcontinuationtoken", "missingapiversionparameter")


class Answer(NamedTuple):
    """An HTTP answer, its body read whole or up to a limit."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case; empty where the header is absent."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def may_be_json(self) -> bool:
        """Whether the header says JSON, or nothing."""
        return self.media_type == "" or self.media_type.endswith(("/json", "+json"))


def failure_of(  # noqa: PLR0911 - a table of statuses
    answer: Answer, *, scale_set: ScaleSetId, action: str, now: float
) -> AzureError:
    """The error of an answer whose status is not 200.

    Args:
        answer: what came.
        scale_set: what was asked about.
        action: the RBAC action that the request needs, where Azure does not name another one.
        now: the Unix time, for a Retry-After with a date.
    """
    error = decode_error(answer.body) if answer.may_be_json else ErrorBody()
    said = _said(answer, error)
    match answer.status:
        case 401:
            return Unauthenticated(f"Azure refuses the token ({said})")
        case 403:
            found, scope = _ACTION.search(error.message), _SCOPE.search(error.message)
            return Forbidden(
                f"not allowed to read {scale_set.name} ({said})",
                action=found[1] if found else action,
                scope=clean(scope[1]) if scope else "",
            )
        case 407:
            return Unreachable(f"the proxy wants credentials ({said})")
        case 408:
            return TimedOut(f"the server waited too long ({said})")
        case 429:
            return throttled(answer.headers, error, now=now)
        case status if status in range(400, 500):
            return _rejected(answer, error, said, scale_set)
        case status if status in range(500, 600):
            wait = retry_after(answer.headers.get("Retry-After"), now=now)
            return ServerFailed(f"Azure failed ({said})", status=status, retry_after=wait)
        case status if status in range(300, 400):
            return BrokenAnswer(f"a redirect, which is never followed ({said})")
        case _:
            return BrokenAnswer(f"an unexpected HTTP status ({said})")


def not_json(answer: Answer) -> BrokenAnswer:
    """The error of an answer with status 200 whose header says that it is no JSON."""
    if "html" in answer.media_type:
        return BrokenAnswer("an HTML page instead of JSON, as from a proxy or a login page")
    return BrokenAnswer(f"{clean(answer.media_type)} instead of JSON")


def _rejected(answer: Answer, error: ErrorBody, said: str, scale_set: ScaleSetId) -> AzureError:
    status, code = answer.status, error.code.casefold()
    if _FLEXIBLE.search(error.message):
        return FlexibleNotSupported.of(scale_set)
    if status in (400, 404) and code in _MISSING:
        return _not_found(_MISSING[code], scale_set, said, status=status, code=code)
    if status == HTTPStatus.NOT_FOUND and code not in _WRONG_ADDRESS:
        if not code:
            # Not Azure's form: a proxy or a gateway may have answered.
            return BrokenAnswer(f"not found, but not in Azure's form ({said})")
        return _not_found("scale set", scale_set, said, status=status, code=code)
    return Rejected(
        f"Azure declines the request ({said})",
        status=status,
        code=clean(error.code),
        stale_link=status == HTTPStatus.BAD_REQUEST and _names_stale_link(error),
    )


def _not_found(
    missing: Missing, scale_set: ScaleSetId, said: str, *, status: int, code: str
) -> NotFound:
    name = {
        "scale set": scale_set.name,
        "resource group": scale_set.resource_group,
        "subscription": scale_set.subscription_id,
    }[missing]
    return NotFound(
        f"{missing} {name} not found ({said})",
        missing=missing,
        removes=status == HTTPStatus.NOT_FOUND and code in _REMOVING,
    )


def _names_stale_link(error: ErrorBody) -> bool:
    return error.code.casefold() in _STALE_LINK or error.target.strip().casefold() == "$skiptoken"


def _said(answer: Answer, error: ErrorBody) -> str:
    """What may be shown of an answer: its status, Azure's code and message, the request's id."""
    said = f"HTTP {answer.status}"
    if error.code:
        said += f" {clean(error.code)}"
    if error.message:
        said += f": {clean(error.message)}"
    elif not error.code and answer.body:
        said += " without an error code of Azure's"
    request_id = answer.headers.get("x-ms-request-id", "")
    if re.fullmatch(r"[\w:.-]{8,80}", request_id):
        said += f", request {request_id}"
    return said
