"""Errors of token requests: which service was asked, what it answered, and what to do about it.

azure-identity's own messages hide both: the one about IMDS is "no response" where there was one,
and that of the default chain is a page. So the answer is read anew where its error carries one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from azure.core import exceptions as core
from yarl import URL

from exporter.azure.auth.token_advice import advice_on
from exporter.azure.connection_failures import Asked, connection_failure
from exporter.azure.errors import (
    AzureError,
    BrokenAnswer,
    ServerFailed,
    TimedOut,
    Unauthenticated,
    Unreachable,
)
from exporter.azure.exception_map import FOREIGN, translate
from exporter.azure.proxies import is_metadata
from exporter.azure.ratelimit.headers import requested_wait
from exporter.redaction import clean, value_mask

LAST_ANSWER: ContextVar[Any] = ContextVar("the last answer to a request for a token", default=None)
"""azure-identity's errors do not carry an answer that it cannot read, so the transport keeps it."""

_LONGEST_LINK = 300
"""Characters that are kept of the message of one credential of the default chain."""

_MOST_LINKS = 16
"""Credentials of the default chain that are shown: it has ten."""

_DEPTH = 10
# The texts may hold a whole body, so each pattern must read it in linear time.
_LINK = re.compile(
    r"\n[^\S\n]*+(\w++): (.*?)(?=\n[^\S\n]*+\w*Credential: |\nTo mitigate|\Z)", re.DOTALL
)
_HELP = re.compile(
    r"(?:(?:Please )?[Vv]isit|To mitigate this issue, please refer to the troubleshooting "
    r"guidelines here at|See the troubleshooting guide for more information:) https://aka\.ms/\S+"
    r"(?: to troubleshoot(?: this issue)?\.?)?"
)
_DESCRIPTION = re.compile(
    r"'(?:error_description|message)': (?:'([^']*)'|\"([^\"]*)\")", re.IGNORECASE
)
# azure-core quotes the body below its message, after a line with this.
_CONTENT = ("Content", "Content:")
_BRACES = re.compile(r"\{[^{}]*\}")
_MAY_PASS = (410, 429)
_NO_JSON = "in place of JSON"
_NOTHING_BETWEEN = "check that nothing answers in its place"
_ANOTHER = (
    "check that no proxy, firewall or portal answers in its place (HTTPS_PROXY, NO_PROXY), and "
    "azure.authority_host"
)
_WRONG_HEADER = (
    "the endpoint does not take the exporter for a local program: the service manager must "
    "pass on IDENTITY_ENDPOINT and IDENTITY_HEADER (MSI_ENDPOINT, MSI_SECRET) unchanged"
)
_SLOW_TOOL = "see how long az account get-access-token takes for the exporter's user"
_SECRET_FIELDS = ("client_secret", "client_assertion", "assertion", "refresh_token")
_SECRET_HEADERS = ("X-IDENTITY-HEADER", "Secret", "secret", "Authorization")
_NOBODY = Asked("the token service")
_UNREAD = re.compile(
    r"^(?:Unexpected response from Microsoft Entra ID|No response content"
    r"|ManagedIdentityCredential authentication unavailable, no response from)"
)
_UNREAD_LINK = re.compile(r"^Unexpected content type|no response from the IMDS endpoint")
_OF_PYTHON = re.compile(
    r"\bNoneType\b|argument \d must be|object is not|Expecting value|time data|indices must be"
)


def token_failure(error: BaseException, *, source: str, now: float) -> AzureError:
    """Our error for whatever a credential raised.

    Args:
        source: what gives the tokens, for people.
        now: the Unix time, for a Retry-After with a date.
    """
    chain = tuple(_chain(error))
    for link in chain:
        # Of this program's own parts, maybe wrapped by azure-identity.
        if isinstance(link, AzureError):
            return link
    for link in chain:
        response = getattr(link, "response", None)
        if response is not None and getattr(response, "status_code", None) is not None:
            return _answered(response, now=now)
    asked = _asked(chain)
    for link in chain:
        if found := connection_failure(link, asked):
            return _unconnected(found, error, source, asked)
    answer = LAST_ANSWER.get()
    if answer is not None and _is_unread(error):
        return _answered(answer, now=now)
    return _told(error, source, asked)


def unread_answer(url: URL, error: BrokenAnswer) -> BrokenAnswer:
    """The error of a token service's answer whose body could not be read.

    Args:
        error: what is wrong with the body.
    """
    advice = _NOTHING_BETWEEN if _is_machine_s_own(url) else _ANOTHER
    return BrokenAnswer(f"no token: {_service(url)}: {error.message}", advice=advice)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it was raised for, the last one last."""
    link: BaseException | None = error
    for _ in range(_DEPTH):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def _asked(chain: tuple[BaseException, ...]) -> Asked:
    """The server that the transport noted; nothing else adds such notes."""
    for link in chain:
        if notes := getattr(link, "__notes__", None):
            return Asked(*notes[:2])
    return _NOBODY


def _is_unread(error: BaseException) -> bool:
    """Whether azure-identity fell over an answer, instead of saying what it is."""
    if isinstance(error, core.AzureError):
        return _UNREAD.search(str(error.message)) is not None
    return isinstance(error, ValueError | TypeError | LookupError | AttributeError)


def _answered(response: Any, *, now: float) -> AzureError:
    """The error of an answer that is not a token."""
    status, url = int(response.status_code), URL(str(response.request.url))
    summary = _words(response)
    if not summary and status < 300:  # noqa: PLR2004 - HTTP's own number
        summary = "but no token that can be read"
    message = f"no token: {_service(url)} answered HTTP {status}{f': {summary}' if summary else ''}"
    wait = requested_wait(response.headers, now=now)
    machine = _is_machine_s_own(url)
    advice = advice_on(summary, metadata=machine)
    if status == 401 and machine:  # noqa: PLR2004 - HTTP's own number
        advice = _WRONG_HEADER
    if status in _MAY_PASS or status >= 500:  # noqa: PLR2004 - HTTP's own numbers
        found: AzureError = ServerFailed(
            message, status=status, advice="it is retried automatically, which may take a minute"
        )
    elif status < 400 or (not machine and summary.endswith(_NO_JSON)):  # noqa: PLR2004 - as above
        found = BrokenAnswer(message, advice=_ANOTHER if not machine else _NOTHING_BETWEEN)
    else:
        found = Unauthenticated(message, advice=advice)
    found.retry_after = wait
    return found


def _service(url: URL) -> str:
    where = f"{url.host}:{url.port}"
    if url.path.rstrip("/").endswith("/metadata/identity/oauth2/token"):
        return f"the managed identity endpoint (IMDS, {where})"
    if _is_machine_s_own(url):
        return f"the managed identity endpoint ({where})"
    return f"the login service {where}"


def _is_machine_s_own(url: URL) -> bool:
    return is_metadata(url) and not url.path.endswith("/oauth2/v2.0/token")


def _words(response: Any) -> str:
    """The message of the answer, without anything that could be a token."""
    media = str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()
    try:
        text = str(response.text())
    except (core.AzureError, LookupError, RuntimeError, ValueError):
        return ""
    for secret in _secrets_of(response.request):
        text = value_mask(secret).of_text(text)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if found is not None:
        return _words_of(found) if isinstance(found, dict) else ""
    if media == "text/plain" and response.status_code >= 400:  # noqa: PLR2004 - HTTP's own number
        return clean(text)
    return f"{clean(media, longest=80) or 'no media type'} {_NO_JSON}" if text else ""


def _secrets_of(request: Any) -> Iterator[str]:
    """The credentials that were sent: the answer may repeat them."""
    body = getattr(request, "body", None)
    for holder, names in ((body, _SECRET_FIELDS), (request.headers, _SECRET_HEADERS)):
        if isinstance(holder, Mapping):
            for name in names:
                if isinstance(value := holder.get(name), str) and value:
                    yield value.rpartition(" ")[2]


def _words_of(found: dict[str, Any]) -> str:
    """Code and description, by the names that IMDS, App Service, Arc and Entra ID give them."""
    fields = {str(name).lower(): value for name, value in found.items()}
    if isinstance(fields.get("error"), dict):
        fields = {str(name).lower(): value for name, value in fields["error"].items()}
    code = next((fields[k] for k in ("error", "code") if isinstance(fields.get(k), str)), "")
    text = next(
        (fields[k] for k in ("error_description", "message") if isinstance(fields.get(k), str)), ""
    )
    return clean(": ".join(part for part in (code, text) if part))


def _unconnected(found: AzureError, error: BaseException, source: str, asked: Asked) -> AzureError:
    if isinstance(found, TimedOut) and asked is _NOBODY:
        # No request was made: it is a tool that does not come to an end.
        return TimedOut(f"no token: {source} gave no answer in time", advice=_SLOW_TOOL)
    message = f"no token from {source}: {found.message}"
    if isinstance(error, core.ClientAuthenticationError):
        # The machine's own endpoint: elsewhere than on Azure there is none.
        return Unauthenticated(message, advice=advice_on("", metadata=True))
    if isinstance(found, TimedOut):
        return TimedOut(message, advice=SLOW)
    return type(found)(message, advice=found.advice)


def _told(error: BaseException, source: str, asked: Asked) -> AzureError:
    """The error that azure-identity words itself, or that it did not expect."""
    if isinstance(error, core.AzureError):
        summary = _quoted(str(error.message))
        ours = translate(error, what=f"no token from {source}", asked=asked)
        if not summary:
            return ours
        return type(ours)(f"no token: {summary}", advice=advice_on(summary, metadata=False))
    if isinstance(error, ValueError) and not isinstance(error, FOREIGN):
        # azure-identity's word on settings and variables that are missing or malformed.
        summary = _quoted(str(error))
        return Unauthenticated(f"no token: {summary}", advice=advice_on(summary, metadata=False))
    if isinstance(error, OSError):
        return Unreachable(f"no token: {source} cannot be asked ({_strerror(error)})")
    return Unauthenticated(
        f"no token: the answer of {source} cannot be read",
        advice=(
            "update it, and see what az account get-access-token prints"
            if "CLI" in source
            else "check that nothing answers in its place"
        ),
    )


def _strerror(error: OSError) -> str:
    return clean(error.strerror or type(error).__name__, longest=_LONGEST_LINK)


def _quoted(text: str) -> str:
    """azure-identity's own message: each link of its chain shortened by itself."""
    links: list[tuple[str, str]] = _LINK.findall(text)
    if not text.startswith(("DefaultAzureCredential failed", "ChainedTokenCredential failed")):
        links = []
    if not links:
        return clean(_without_braces(_HELP.sub("", text)))
    return "; ".join(
        f"{name}: {clean(_link(name, summary), longest=_LONGEST_LINK)}"
        for name, summary in links[:_MOST_LINKS]
    )


def _link(name: str, summary: str) -> str:
    answer = LAST_ANSWER.get()
    if answer is not None and _UNREAD_LINK.search(summary):
        # The managed identity's: no credential after it in the chain asks by HTTP.
        return _answered(answer, now=0.0).message.removeprefix("no token: ")
    if _OF_PYTHON.search(summary):
        # azure-identity's own stumbling over what a tool printed.
        return "its answer cannot be read"
    bare = _without_braces(_HELP.sub("", summary))
    return bare.removeprefix(f"{name} authentication unavailable. ")


def _without_braces(text: str) -> str:
    """The text up to a body; of IMDS's own answer what it describes stays.

    The CLI quotes all claims of an ID token in braces, where nothing may be kept.
    """

    def described(match: re.Match[str]) -> str:
        found = _DESCRIPTION.search(match[0])
        return (found[1] or found[2] or "") if found else match[0]

    bare = _BRACES.sub(described, text).partition("{")[0].rstrip()
    before, _, last_line = bare.rpartition("\n")
    if before and last_line.strip() in _CONTENT:
        bare = before
    return bare.rstrip(" :\"'\n\r\t")


SLOW = (
    "check the connection to the token service: IMDS is at 169.254.169.254, the login service at "
    "azure.authority_host or the cloud's own; this limit is fixed"
)
"""What to do about a token that does not come in time."""
