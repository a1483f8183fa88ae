"""The addresses of a cloud: what may stand for one in the file."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator
from yarl import URL

from exporter.configuration.fields import Placeholder, refused

_VISIBLE = re.compile(r"[!-~]+")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _scheme_and_host(text: str) -> tuple[str, str]:
    """The parts of an address that has a host and, if any, a port in range; else empty ones.

    Read by the library that the requests are made with, so that what is good here is good there.
    """
    if not _VISIBLE.fullmatch(text) or "\\" in text:
        return "", ""
    try:
        url = URL(text)
        host, port = url.host or "", url.port
        host.encode("idna")  # as the look-up of the host will do
    except ValueError:
        return "", ""
    return ("", "") if port == 0 else (url.scheme, host)


def _address(text: str) -> str:
    # No message shows the address: what is wrong may be the password in it.
    if any(character in text for character in "@?#"):
        raise refused("must have no user, no query and no fragment")
    scheme, host = _scheme_and_host(text)
    if not host:
        raise refused("not an address such as https://management.example.com")
    if scheme not in ("https", "http"):
        raise refused("must begin with https://")
    if scheme == "http" and not _is_loopback(host):
        raise refused("must begin with https://; plain http is for loopback hosts only")
    return text


def _authority(text: str) -> str:
    if _scheme_and_host(text)[0] != "https":
        raise refused("must begin with https://; azure-identity takes no other, on loopback too")
    return text


Cloud = Literal["public", "usgovernment", "china", "custom"]

Address = Annotated[str, AfterValidator(_address), Placeholder("url")]
"""An https address, or a plain http one of a loopback host."""

Authority = Annotated[Address, AfterValidator(_authority)]
"""The address of a login service."""


def _link(text: str) -> str:
    if text and any(character in text for character in "@?#"):
        raise refused("must have no user, no query and no fragment")
    if text and _scheme_and_host(text)[0] not in {"https", "http"}:
        raise refused("not an address such as https://grafana.example.com")
    return text


Link = Annotated[str, AfterValidator(_link), Placeholder("url")]
"""An address for people to open, of either scheme: nothing is sent there. Empty for none."""


def check_address(
    value: str | None, field: str | None, *, cloud: str | None, credential_type: str | None
) -> None:
    """Check that an address is given where the cloud has none of its own, and only there.

    Args:
        field: its key.
        credential_type: the type of the credential; None if that is itself wrong.

    Raises:
        PydanticCustomError: it is not.
    """
    if cloud != "custom" and value is not None:
        raise refused("is for cloud custom only")
    # A static token and a managed identity come from no authority; unknown may be either.
    asks_nobody = credential_type in (None, "static", "managed_identity")
    if cloud == "custom" and value is None and not (field == "authority_host" and asks_nobody):
        raise refused("is required for cloud custom")
