"""Whatever the status, what Azure says comes through: code, message and the request's id."""

from __future__ import annotations

import json

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from exporter.azure.decode import decode_instance_page
from exporter.azure.decode_scale_sets import decode_scale_set
from exporter.azure.errors import AzureError, BrokenAnswer, Forbidden, Rejected
from exporter.azure.http_errors import Answer, failure_of
from exporter.azure.operation import Scope
from support.answers import WEB

REQUEST = "1b2c3d4e-0000-4000-8000-00000000000f"
TENANT = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
SAYS = "The thing that nobody else says."


def failure(status: int, code: str = "", message: str = SAYS, **headers: str) -> AzureError:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return of(status, body, **{"Content-Type": "application/json", **headers})


def of(status: int, body: bytes, **headers: str) -> AzureError:
    given = CIMultiDict(
        {"x-ms-request-id": REQUEST, **{name.replace("_", "-"): headers[name] for name in headers}}
    )
    answer = Answer(status, CIMultiDictProxy(given), body)
    return failure_of(answer, scope=Scope.of(WEB), action="an/action/read", now=0.0)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "InvalidParameter"),
        (400, "SubscriptionNotFound"),
        (401, "AuthenticationFailed"),
        (401, "InvalidAuthenticationTokenTenant"),
        (401, "InvalidAuthenticationTokenAudience"),
        (401, "ExpiredAuthenticationToken"),
        (403, "AuthorizationFailed"),
        (403, "RequestDisallowedByPolicy"),
        (404, "ResourceNotFound"),
        (404, "ResourceGroupNotFound"),
        (404, "SubscriptionNotFound"),
        (404, "InvalidResourceType"),
        (409, "OperationNotAllowed"),
        (500, "InternalServerError"),
        (503, "ServerBusy"),
        (302, "Moved"),
        (999, "Whatever"),
    ],
)
def test_code_message_and_request_id_are_in_the_error(status: int, code: str) -> None:
    message = str(failure(status, code))
    assert f"(HTTP {status} {code}: {SAYS}, request {REQUEST}" in message


@pytest.mark.parametrize("status", [401, 403, 404, 409])
def test_a_page_in_azures_place_is_reported_with_its_status_and_the_request(status: int) -> None:
    said = str(of(status, b"<html>Log in</html>", Content_Type="text/html"))
    assert f"HTTP {status}, an HTML page in place of the Resource Manager's answer" in said
    assert f"(HTTP {status} without an error code of Azure's, request {REQUEST})" in said


@pytest.mark.parametrize("status", [300, 301, 399])
def test_every_redirect_is_reported_as_one(status: int) -> None:
    assert "redirect" in str(failure(status, "Moved"))


@pytest.mark.parametrize("status", [400, 409, 499])
def test_a_declined_request_keeps_azures_code(status: int) -> None:
    error = failure(status, "NoRegisteredProviderFound")
    assert isinstance(error, Rejected)
    assert error.code == "NoRegisteredProviderFound"


def test_an_empty_answer_is_not_reported_to_lack_a_code() -> None:
    assert "without an error code" not in str(of(500, b""))
    assert "without an error code" in str(of(500, b"oops"))
    assert "without an error code" not in str(failure(500, "Coded", ""))


@pytest.mark.parametrize(
    ("message", "times"), [("Wrong tenant.", 1), (f"It wants {TENANT.upper()}.", 1)]
)
def test_the_wanted_tenant_is_named_once(message: str, times: int) -> None:
    challenge = f'Bearer authorization_uri="https://login.example/{TENANT}"'
    error = failure(401, "InvalidAuthenticationTokenTenant", message, WWW_Authenticate=challenge)
    assert str(error).lower().count(TENANT) == times


def test_of_two_actions_the_one_that_is_lacking_is_to_be_granted() -> None:
    said = (
        "The client has permission to perform action 'Microsoft.Compute/x/read' on scope '/a'; "
        "however, it does not have permission to perform action 'Microsoft.Network/y/read' on the "
        "linked scope(s) '/subscriptions/b/y' or the linked scope(s) are invalid."
    )
    error = failure(403, "LinkedAuthorizationFailed", said)
    assert isinstance(error, Forbidden)
    assert (error.action, error.scope) == ("Microsoft.Network/y/read", "/subscriptions/b/y")


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (403, "ReadOnlyDisabledSubscription", "the subscription is disabled"),
        (409, "ReadOnlyDisabledSubscription", "the subscription is disabled"),
        (409, "OperationNotAllowed", "asked again with the next poll"),
        (409, "ScopeLocked", "asked again with the next poll"),
        (401, "ExpiredAuthenticationToken", "azure.credential.token_file"),
        (401, "InvalidAuthenticationToken", "check azure.credential"),
    ],
)
def test_the_advice_leads_to_the_cause_that_the_code_names(
    status: int, code: str, advice: str
) -> None:
    assert advice in failure(status, code).advice


def test_an_error_that_azure_sends_as_a_success_is_reported() -> None:
    body = json.dumps({"error": {"code": "InternalServerError", "message": SAYS}}).encode()
    with pytest.raises(BrokenAnswer, match=f"not a list .InternalServerError: {SAYS}"):
        list(decode_instance_page(body))
    with pytest.raises(BrokenAnswer, match=f"is not a scale set .InternalServerError: {SAYS}"):
        decode_scale_set(body)


def test_braces_in_a_text_do_not_make_an_answer_cut() -> None:
    headers = CIMultiDictProxy(CIMultiDict[str]())
    assert not Answer(200, headers, b'{"value": [{"name": "{{{"}]}').is_cut
    assert not Answer(200, headers, b'{"value": [{"name": {{{} oops}').is_cut
    assert Answer(200, headers, b'{"value": [{"name": "}}", "x": {"y": {}}').is_cut is False
    assert Answer(200, headers, b'{"value": [{"name": {}}').is_cut


def test_a_long_message_of_a_403_is_read_in_linear_time() -> None:
    # In quadratic time it held the event loop for minutes.
    assert isinstance(failure(403, "AuthorizationFailed", "a" * 1_000_000), Forbidden)
