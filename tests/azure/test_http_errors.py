"""Which error comes of which answer, and that nothing is sent again on account of it."""

from __future__ import annotations

import json

import pytest
from aioresponses import aioresponses as mocked_answers

from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    FlexibleNotSupported,
    Forbidden,
    NotFound,
    Rejected,
    ServerFailed,
    Throttled,
    TimedOut,
    Unreachable,
)
from support.answers import RECORDINGS, WEB, needs_recordings, recording
from support.azure_room import (
    FIRST,
    SET,
    FakeTokens,
    NewClient,
    failure_of,
    ids,
    later,
    page,
    sent,
    walk,
)

FLEXIBLE = (
    "Operation 'VirtualMachineScaleSets.virtualMachines.GET' is not allowed on Virtual Machine "
    "Scale Set 'web'."
)


@pytest.mark.parametrize(
    ("status", "error", "kind", "said"),
    [
        (400, {"code": "BadRequest", "message": FLEXIBLE}, FlexibleNotSupported, "Flexible"),
        (400, {"code": "InvalidParameter", "message": "no"}, Rejected, "InvalidParameter: no"),
        (400, {"code": "SubscriptionNotFound"}, NotFound, "subscription 0000"),
        (403, {"code": "AuthorizationFailed"}, Forbidden, "virtualMachines/read"),
        (404, {"code": "ResourceNotFound"}, NotFound, "scale set web not found"),
        (404, {"code": "NotFound"}, NotFound, "scale set web not found"),
        (404, {"code": "ResourceGroupNotFound"}, NotFound, "resource group rg-web not found"),
        (404, {"code": "SubscriptionNotFound"}, NotFound, "subscription 0000"),
        (404, {"code": "InvalidResourceType"}, Rejected, "InvalidResourceType"),
        (404, {}, BrokenAnswer, "not in Azure's form"),
        (407, {}, Unreachable, "proxy"),
        (408, {}, TimedOut, "HTTP 408"),
        (409, {"code": "OperationNotAllowed", "message": "quota"}, Rejected, "quota"),
        (410, {}, Rejected, "HTTP 410"),
        (429, {"code": "TooManyRequests"}, Throttled, "TooManyRequests"),
        (500, {"code": "InternalServerError"}, ServerFailed, "InternalServerError"),
        (503, {}, ServerFailed, "HTTP 503"),
        (504, {"code": "GatewayTimeout"}, ServerFailed, "GatewayTimeout"),
        (204, {}, BrokenAnswer, "HTTP 204"),
        (301, {}, BrokenAnswer, "redirect"),
        (304, {}, BrokenAnswer, "redirect"),
        (999, {}, BrokenAnswer, "HTTP 999"),
    ],
)
async def test_each_status_is_an_error_the_operator_can_act_on(
    new_client: NewClient,
    answers: mocked_answers,
    status: int,
    error: dict[str, str],
    kind: type[AzureError],
    said: str,
) -> None:
    answers.get(FIRST, status=status, payload={"error": error} if error else {})
    found = await failure_of(new_client())
    assert type(found) is kind
    assert said in str(found)
    assert len(sent(answers)) == 1, "no request is repeated"


async def test_a_missing_action_and_its_scope_are_named(
    new_client: NewClient, answers: mocked_answers
) -> None:
    message = (
        "The client 'x' with object id 'y' does not have authorization to perform action "
        "'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/instanceView/read' over "
        "scope '/subscriptions/s/resourceGroups/rg' or the scope is invalid."
    )
    answers.get(
        FIRST, status=403, payload={"error": {"code": "AuthorizationFailed", "message": message}}
    )
    error = await failure_of(new_client())
    assert isinstance(error, Forbidden)
    assert error.action == (
        "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/instanceView/read"
    )
    assert error.scope == "/subscriptions/s/resourceGroups/rg"


async def test_the_action_of_the_set_itself_is_named(
    new_client: NewClient, answers: mocked_answers
) -> None:
    answers.get(SET, status=403, payload={"error": {"code": "AuthorizationFailed"}})
    with pytest.raises(Forbidden) as caught:
        await new_client().scale_set_model(WEB)
    assert caught.value.action == "Microsoft.Compute/virtualMachineScaleSets/read"


@pytest.mark.parametrize(
    ("status", "kind"), [(200, BrokenAnswer), (404, BrokenAnswer), (503, ServerFailed)]
)
async def test_a_page_of_html_is_never_quoted(
    new_client: NewClient, answers: mocked_answers, status: int, kind: type[AzureError]
) -> None:
    answers.get(
        FIRST, status=status, body="<html>secret</html>", content_type="text/html; charset=x"
    )
    error = await failure_of(new_client())
    assert type(error) is kind
    assert "secret" not in str(error)
    assert "html>" not in str(error)


@pytest.mark.parametrize(
    ("status", "code", "removes"),
    [
        (404, "ResourceNotFound", True),
        (404, "resourcegroupnotfound", True),
        (404, "NotFound", False),
        (404, "ParentResourceNotFound", False),
        (404, "SubscriptionNotFound", False),
        (404, "TenantNotFound", False),
        (400, "ResourceGroupNotFound", False),
        (400, "SubscriptionNotFound", False),
    ],
)
async def test_only_the_set_or_its_group_that_do_not_exist_let_data_be_removed(
    new_client: NewClient,
    answers: mocked_answers,
    status: int,
    code: str,
    removes: bool,  # noqa: FBT001 - a value of the table
) -> None:
    answers.get(FIRST, status=status, payload={"error": {"code": code, "message": "no"}})
    error = await failure_of(new_client())
    assert isinstance(error, NotFound)
    assert error.removes == removes


@pytest.mark.parametrize("content_type", ["application/json", "text/json", "application/x+json"])
async def test_json_goes_by_several_names(
    new_client: NewClient, answers: mocked_answers, content_type: str
) -> None:
    answers.get(FIRST, payload=page("0"), content_type=content_type)
    assert ids(await walk(new_client())) == ["0"]


@needs_recordings
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("http400-InvalidParameter", Rejected),
        ("http403-AuthorizationFailed", Forbidden),
        ("http404-NotFound", NotFound),
        ("http404-ResourceGroupNotFound", NotFound),
        ("http404-ResourceNotFound", NotFound),
        ("http429-SubscriptionRequestsThrottled", Throttled),
        ("http429-RetryableError", Throttled),
        ("http500-InternalServerError", ServerFailed),
        ("http503-ServerTimeout", ServerFailed),
        ("http503-html", ServerFailed),
        ("http504-GatewayTimeout", ServerFailed),
    ],
)
async def test_the_recorded_errors_are_understood(
    new_client: NewClient, answers: mocked_answers, name: str, kind: type[AzureError]
) -> None:
    response = recording(RECORDINGS / "errors" / f"{name}.json")["response"]
    body = response["body"]
    headers = {key: value for key, value in response["headers"].items() if key != "date"}
    answers.get(
        FIRST,
        status=response["status"],
        body=body if isinstance(body, str) else json.dumps(body),
        content_type=headers.pop("content-type"),
        headers=headers,
    )
    assert type(await failure_of(new_client())) is kind


XML = ("application/xml", "<Error><Code>ForbiddenError</Code></Error>", "XML")
HTML = ("text/html; charset=utf-8", "<html>ERR_ACCESS_DENIED</html>", "an HTML page")
TEXT = ("text/plain", "denied", "text/plain")


@pytest.mark.parametrize(
    ("status", "media", "body", "said"),
    [
        *((status, *page) for status in (400, 401, 403, 404) for page in (XML, HTML, TEXT)),
        (403, "application/json", "{}", "not in the form"),
        (403, "application/json", '{"message": "Forbidden"}', "not in the form"),
    ],
)
async def test_an_answer_of_somebody_else_s_is_no_missing_permission(
    new_client: NewClient,
    answers: mocked_answers,
    tokens: FakeTokens,
    status: int,
    media: str,
    body: str,
    said: str,
) -> None:
    answers.get(FIRST, status=status, body=body, content_type=media)
    error = await failure_of(new_client())
    assert type(error) is BrokenAnswer
    assert f"HTTP {status}" in error.message
    assert said in error.message
    assert "azure.endpoint" in error.advice
    assert "ERR_ACCESS" not in str(error)
    assert tokens.asked == [(None, None)], "no other token is asked for"


@pytest.mark.parametrize(
    ("status", "code", "message", "advice"),
    [
        (409, "MissingSubscriptionRegistration", "Not registered.", "az provider register"),
        (409, "SubscriptionNotRegistered", "Not registered.", "az provider register"),
        (400, "NoRegisteredProviderFound", "The supported versions", "set azure.api_version"),
        (400, "InvalidApiVersionParameter", "The api-version", "set azure.api_version"),
        (404, "InvalidResourceType", "The type", "set azure.api_version"),
        (403, "DenyAssignmentAuthorizationFailed", "Denied.", "deny assignment"),
        (
            403,
            "AuthorizationFailed",
            "The access is denied because of the deny assignment with name 'd'.",
            "deny assignment",
        ),
        (403, "RequestDisallowedByPolicy", "Disallowed.", "Azure Policy"),
    ],
)
async def test_the_advice_fits_azure_s_code(
    new_client: NewClient,
    answers: mocked_answers,
    status: int,
    code: str,
    message: str,
    advice: str,
) -> None:
    answers.get(FIRST, status=status, payload={"error": {"code": code, "message": message}})
    error = await failure_of(new_client())
    assert advice in error.advice
    assert "role Reader" not in error.advice
    assert message in error.message


async def test_the_end_of_a_long_list_is_reported(
    new_client: NewClient, answers: mocked_answers
) -> None:
    versions = [f"20{year}-{month:02}-01" for year in range(10, 30) for month in range(1, 13)]
    message = f"No provider found. The supported api-versions are '{', '.join(versions)}'."
    error_body = {"error": {"code": "NoRegisteredProviderFound", "message": message}}
    answers.get(FIRST, status=400, payload=error_body)
    error = await failure_of(new_client())
    assert versions[0] in error.message
    assert versions[-1] in error.message
    assert 1024 <= len(error.message) < 2000


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, {"code": "Odd", "message": "No."}, "Azure declines the request (HTTP 400 Odd: No.)"),
        (400, {"code": "Odd"}, "Azure declines the request (HTTP 400 Odd)"),
        (400, {"message": "No."}, "Azure declines the request (HTTP 400: No.)"),
        (
            400,
            {"x": "y"},
            "Azure declines the request (HTTP 400 without an error code of Azure's)",
        ),
        (
            404,
            {"code": "ResourceNotFound", "message": "Gone."},
            "scale set web not found (HTTP 404 ResourceNotFound: Gone.)",
        ),
        (
            404,
            {"code": "ResourceGroupNotFound", "message": "Gone."},
            "resource group rg-web not found (HTTP 404 ResourceGroupNotFound: Gone.)",
        ),
    ],
)
async def test_status_code_and_words_are_reported_once_each(
    new_client: NewClient,
    answers: mocked_answers,
    status: int,
    body: dict[str, str],
    message: str,
) -> None:
    answers.get(FIRST, status=status, payload={"error": body})
    error = await failure_of(new_client())
    assert error.message == message
    assert not isinstance(error, Rejected) or error.code == body.get("code", "")


async def test_another_refusal_of_a_later_page_is_asked_for_once(
    new_client: NewClient, answers: mocked_answers
) -> None:
    answers.get(FIRST, payload=page("0", following=later(2)))
    answers.get(later(2), status=400, payload={"error": {"code": "InvalidParameter"}})
    assert type(await failure_of(new_client())) is Rejected
    assert len(sent(answers)) == 2
