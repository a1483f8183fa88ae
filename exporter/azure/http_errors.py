"""From an HTTP answer that is not a success to the error that tells what to do about it."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from multidict import CIMultiDictProxy

from exporter.azure.auth.claims_challenge import tenant_of
from exporter.azure.connection_failures import PROXY_CREDENTIALS
from exporter.azure.error_body import ErrorBody, decode_error
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
from exporter.azure.operation import Scope
from exporter.azure.ratelimit.headers import LimitHeaders, requested_wait
from exporter.azure.ratelimit.http_429 import throttled
from exporter.redaction import clean

_ACTION = re.compile(r"perform action '([A-Za-z0-9./*_-]{1,200})'")
_SCOPE = re.compile(r"(?:over scope|on the linked scope\(s\)) '([^']{1,400})'")
_FLEXIBLE = re.compile(r"'virtualMachineScaleSets\.[^']*' is not allowed on", re.IGNORECASE)
_MISSING: dict[str, Missing] = {
    "resourcegroupnotfound": "resource group",
    "subscriptionnotfound": "subscription",
    "invalidsubscriptionid": "subscription",
}
# The only codes of a 404 by which the set does not exist.
_REMOVING = ("resourcenotfound", "resourcegroupnotfound")
# A 404 about the address itself: the resource may well be there.
_WRONG_ADDRESS = ("invalidresourcetype", "invalidresourcenamespace", "missingsubscription")
_NOT_VALID = "invalidauthenticationtoken"
_NO_TOKEN = ("authenticationfailedmissingtoken", "authenticationfailedinvalidheader")
_WRONG_TENANT = re.compile(
    r"InvalidAuthenticationTokenTenant|wrong issuer|match the tenant", re.IGNORECASE
)
_WRONG_AUDIENCE = re.compile(r"InvalidAuthenticationTokenAudience|wrong audience", re.IGNORECASE)
_DENIED = re.compile(r"deny ?assignment", re.IGNORECASE)

_STRIPPED = "check that no proxy between takes the Authorization header away"
_TENANT = (
    "the subscription belongs to another tenant than the identity: check "
    "azure.credential.tenant_id, or take the scale set off the configuration"
)
_AUDIENCE = "check azure.cloud, or azure.audience with cloud custom: the token is for another Azure"
_EXCLUDE = (
    "a deny assignment forbids it, and no role outweighs that: have the identity excluded from it"
)
_ELSEWHERE = (
    "check azure.endpoint and azure.cloud, and that no proxy, firewall or portal answers in "
    "Azure's place (HTTPS_PROXY, NO_PROXY)"
)
_VERSION = "set azure.api_version to one that this Azure supports, as it lists them"
_REGISTER = (
    "register the provider in the subscription: az provider register --namespace Microsoft.Compute"
)
_DISABLED = (
    "the subscription is disabled: have it enabled again (billing, spending limit), or take its "
    "scale sets off the configuration"
)
_CONFLICT = (
    "something else is being done with the scale set; it is asked again with the next poll, and "
    "nothing needs doing unless it lasts"
)
_RENEW = (
    "the token has ended: its issuer must renew it before (with type static, the program "
    "that writes azure.credential.token_file), and this machine's clock must be right"
)
_DISABLED_CODES = ("readonlydisabledsubscription", "subscriptionnotenabled", "disabledsubscription")
_REJECTED_ADVICE = {
    **dict.fromkeys(_DISABLED_CODES, _DISABLED),
    "noregisteredproviderfound": _VERSION,
    "invalidapiversionparameter": _VERSION,
    "invalidresourcetype": _VERSION,
    "missingsubscriptionregistration": _REGISTER,
    "subscriptionnotregistered": _REGISTER,
}
_LONGEST_NAME = 80
_TAIL = 1024
# Twice the size of a usual page: some milliseconds.
_LONGEST_COUNTED = 1024 * 1024
_STALE_LINK = ("invalidcontinuationtoken", "missingapiversionparameter")


class Answer(NamedTuple):
    """An HTTP answer, its body read whole or up to a limit."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    limits: LimitHeaders | None = None

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case; empty where the header is absent."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def may_be_json(self) -> bool:
        """Whether the header says JSON, or nothing."""
        return self.media_type == "" or self.media_type.endswith(("/json", "+json"))

    @property
    def is_cut(self) -> bool:
        """Whether the end of a JSON object is missing, as its last byte or its braces tell."""
        end = self.body[-_TAIL:].rstrip() or self.body.rstrip()
        if self.body[:_TAIL].lstrip()[:1] != b"{":
            return False
        return end[-1:] != b"}" or self._ends_early()

    def _ends_early(self) -> bool:
        """Whether it ends right after the brace of an inner object.

        Counting is quick, but braces stand in texts too; so where it finds something, it is read.
        """
        body = self.body
        if len(body) > _LONGEST_COUNTED or body.count(b"{") <= body.count(b"}"):
            return False
        try:
            msgspec.json.decode(body, type=msgspec.Raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return "truncated" in str(error)
        return False


def failure_of(  # noqa: PLR0911 - a table of statuses
    answer: Answer, *, scope: Scope, action: str, now: float
) -> AzureError:
    """The error of an answer whose status is not 200.

    Args:
        scope: what was asked about.
        action: the RBAC action that the request needs, where Azure does not name another one.
        now: the Unix time, for a Retry-After with a date.
    """
    error = decode_error(answer.body) if answer.may_be_json else ErrorBody()
    summary = _summary(answer, error)
    match answer.status:
        case 401 | 403 if _is_foreign(answer):
            return _foreign(answer, summary)
        case 401:
            return _refused(answer, error, summary)
        case 403:
            return _forbidden(answer, error, summary, scope=scope, action=action)
        case 407:
            return Unreachable(f"the proxy wants credentials ({summary})", advice=PROXY_CREDENTIALS)
        case 408:
            return TimedOut(f"the server waited too long ({summary})")
        case 429:
            return throttled(answer.headers, error, now=now, limits=answer.limits)
        case status if status in range(400, 500):
            return _rejected(answer, error, summary, scope)
        case status if status in range(500, 600):
            wait = requested_wait(answer.headers, now=now)
            return ServerFailed(f"Azure failed ({summary})", status=status, retry_after=wait)
        case status if status in range(300, 400):
            return BrokenAnswer(f"a redirect, which is never followed ({summary})")
        case _:
            return BrokenAnswer(f"an unexpected HTTP status ({summary})")


def may_be_mended(answer: Answer) -> bool:
    """Whether another token may be what an answer with HTTP 401 wants.

    A token of another tenant or audience is never obtained by a renewal, and the other scale sets
    must not lose the token in use.
    """
    if _is_foreign(answer):
        return False
    error = decode_error(answer.body)
    code, described = error.code.casefold(), _described(answer, error)
    return not (
        code in _NO_TOKEN
        or _WRONG_TENANT.search(described)
        or _WRONG_AUDIENCE.search(described)
        # `InvalidAuthenticationToken` alone may be one that has ended.
        or (code.startswith(_NOT_VALID) and code != _NOT_VALID)
    )


def not_json(answer: Answer) -> BrokenAnswer:
    """The error of an answer with status 200 whose header says that it is not JSON."""
    if "html" in answer.media_type:
        return BrokenAnswer("an HTML page instead of JSON, as from a proxy or a login page")
    return BrokenAnswer(f"{clean(answer.media_type)} instead of JSON")


def _is_foreign(answer: Answer) -> bool:
    """Whether the answer is not JSON, so that something else has answered in Azure's place."""
    return bool(answer.body) and not answer.may_be_json


def _foreign(answer: Answer, summary: str) -> BrokenAnswer:
    kind = {"html": "an HTML page", "xml": "XML"}.get(re.split(r"[/+]", answer.media_type)[-1])
    kind = kind or (clean(answer.media_type, longest=_LONGEST_NAME) if answer.media_type else "")
    what = f"{kind} in place of" if kind and not answer.may_be_json else "but not in the form of"
    return BrokenAnswer(
        f"HTTP {answer.status}, {what} the Resource Manager's answer ({summary})", advice=_ELSEWHERE
    )


def _described(answer: Answer, error: ErrorBody) -> str:
    challenges = answer.headers.getall("WWW-Authenticate", [])
    return " ".join((error.code, error.message, *challenges))


def _refused(answer: Answer, error: ErrorBody, summary: str) -> Unauthenticated:
    described, message = _described(answer, error), f"Azure refuses the token ({summary})"
    if error.code.casefold() in _NO_TOKEN:
        return Unauthenticated(message, advice=_STRIPPED)
    if _WRONG_TENANT.search(described):
        tenant = tenant_of(answer.headers.getall("WWW-Authenticate", []))
        if tenant and tenant not in message.lower():
            message += f"; it wants one of the tenant {tenant}"
        return Unauthenticated(message, advice=_TENANT)
    if _WRONG_AUDIENCE.search(described):
        return Unauthenticated(message, advice=_AUDIENCE)
    return Unauthenticated(
        message, advice=_RENEW if error.code.casefold() == "expiredauthenticationtoken" else ""
    )


def _forbidden(
    answer: Answer, error: ErrorBody, summary: str, *, scope: Scope, action: str
) -> AzureError:
    if not error.code:
        # Not an answer of Azure's: a role would not help.
        return _foreign(answer, summary)
    # LinkedAuthorizationFailed names two actions; the one that is lacking stands last.
    actions, where = _ACTION.findall(error.message), _SCOPE.search(error.message)
    advice = ""
    if _DENIED.search(f"{error.code} {error.message}"):
        advice = _EXCLUDE
    elif error.code.casefold() == "requestdisallowedbypolicy":
        advice = "an Azure Policy forbids it: have the scope or the identity exempted from it"
    elif error.code.casefold() in _DISABLED_CODES:
        advice = _DISABLED
    return Forbidden(
        f"not allowed to read {_name(scope)} ({summary})",
        action=actions[-1] if actions else action,
        scope=clean(where[1]) if where else "",
        advice=advice,
    )


def _rejected(answer: Answer, error: ErrorBody, summary: str, scope: Scope) -> AzureError:
    status, code = answer.status, error.code.casefold()
    if _is_foreign(answer):
        return _foreign(answer, summary)
    if scope.scale_set and _FLEXIBLE.search(error.message):
        return FlexibleNotSupported.of(scope.scale_set)
    if status in (400, 404) and code in _MISSING:
        return _not_found(_MISSING[code], scope, summary, status=status, code=code)
    if status == HTTPStatus.NOT_FOUND and code not in _WRONG_ADDRESS:
        if not code:
            # Not Azure's form: a proxy or a gateway may have answered.
            return BrokenAnswer(f"not found, but not in Azure's form ({summary})")
        return _not_found("scale set", scope, summary, status=status, code=code)
    return Rejected(
        f"Azure declines the request ({summary})",
        status=status,
        code=clean(error.code, longest=_LONGEST_NAME),
        advice=_REJECTED_ADVICE.get(code, _CONFLICT if status == HTTPStatus.CONFLICT else ""),
        stale_link=status == HTTPStatus.BAD_REQUEST and _names_stale_link(error),
    )


def _not_found(missing: Missing, scope: Scope, summary: str, *, status: int, code: str) -> NotFound:
    name = _name(scope)
    if missing == "subscription":
        name = scope.subscription_id
    elif missing == "resource group" and scope.scale_set:
        name = scope.scale_set.resource_group
    return NotFound(
        f"{missing} {name} not found ({summary})",
        missing=missing,
        removes=status == HTTPStatus.NOT_FOUND and code in _REMOVING,
    )


def _name(scope: Scope) -> str:
    return scope.scale_set.name if scope.scale_set else scope.subscription_id


def _names_stale_link(error: ErrorBody) -> bool:
    return error.code.casefold() in _STALE_LINK or error.target.strip().casefold() == "$skiptoken"


def _summary(answer: Answer, error: ErrorBody) -> str:
    """What may be shown of an answer: its status, Azure's code and message, the request's id."""
    summary = f"HTTP {answer.status}"
    if error.code:
        summary += f" {clean(error.code, longest=_LONGEST_NAME)}"
    if error.message:
        summary += f": {clean(error.message)}"
    elif not error.code and answer.body:
        summary += " without an error code of Azure's"
    request_id = answer.headers.get("x-ms-request-id", "")
    if re.fullmatch(r"[\w:.-]{8,80}", request_id):
        summary += f", request {request_id}"
    return summary
