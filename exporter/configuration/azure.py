"""`azure`: which cloud is asked, how, and with which credential."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from yarl import URL

from exporter.configuration.fields import (
    SAME,
    Boolean,
    FilePath,
    OptionalPath,
    Placeholder,
    Section,
    Surroundings,
    Text,
    expected,
    refused,
)

_API_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(-[A-Za-z][A-Za-z0-9]*)?")
_IDENTITY = re.compile(
    r"/subscriptions/[^/\s]+/resource-?groups/[^/\s]+"
    r"/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/[^/\s]+",
    re.IGNORECASE,
)
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


def _api_version(text: str) -> str:
    if not _API_VERSION.fullmatch(text):
        raise expected("an API version such as 2024-07-01 or 2016-04-30-preview")
    return text


def _resource_id(text: str) -> str:
    if not _IDENTITY.fullmatch(text):
        raise expected(
            "the resource id of a user-assigned identity, /subscriptions/…/resourceGroups/…/"
            "providers/Microsoft.ManagedIdentity/userAssignedIdentities/…"
        )
    return text


Cloud = Literal["public", "usgovernment", "china", "custom"]

CredentialType = Literal[
    "default",
    "managed_identity",
    "workload_identity",
    "client_secret",
    "client_certificate",
    "azure_cli",
    "static",
]

Address = Annotated[str, AfterValidator(_address), Placeholder("url")]
"""An https address, or a plain http one of a loopback host."""


class _Uses(NamedTuple):
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_USES: dict[CredentialType, _Uses] = {
    "default": _Uses(),
    "managed_identity": _Uses(optional=("client_id", "object_id", "resource_id")),
    "workload_identity": _Uses(optional=("tenant_id", "client_id", "token_file")),
    "client_secret": _Uses(
        required=("tenant_id", "client_id"), optional=("client_secret", "client_secret_file")
    ),
    "client_certificate": _Uses(required=("tenant_id", "client_id", "certificate_path")),
    "azure_cli": _Uses(optional=("tenant_id",)),
    "static": _Uses(required=("token_file",)),
}
"""The fields that each type of credential uses."""


class Credential(Section):
    """`azure.credential`: how the exporter proves who it is."""

    # A field that is not given has rules too.
    model_config = ConfigDict(validate_default=True)

    type: CredentialType = Field(
        "default",
        description="default, managed_identity, workload_identity, client_secret, "
        "client_certificate, azure_cli or static. A field that the type does not use is an error; "
        "see the table.",
    )
    tenant_id: Text | None = Field(None, description="The directory.")
    client_id: Text | None = Field(
        None, description="The application, or the user-assigned identity of managed_identity."
    )
    object_id: Text | None = Field(
        None, description="The user-assigned identity, in place of its client id."
    )
    resource_id: Annotated[str, AfterValidator(_resource_id)] | None = Field(None, description=SAME)
    client_secret: Annotated[SecretStr, Field(min_length=1)] | None = Field(
        None, description="The application's secret, or a file that has it."
    )
    client_secret_file: FilePath | None = Field(None, description=SAME)
    certificate_path: FilePath | None = Field(
        None, description="The application's certificate with its private key."
    )
    token_file: FilePath | None = Field(
        None, description="The bearer token of static, or the token of workload_identity."
    )

    @field_validator(
        "tenant_id",
        "client_id",
        "object_id",
        "resource_id",
        "client_secret",
        "client_secret_file",
        "certificate_path",
        "token_file",
    )
    @classmethod
    def _the_type_uses_it(
        cls, value: str | SecretStr | None, info: ValidationInfo
    ) -> str | SecretStr | None:
        kind = info.data.get("type")
        if kind is None:
            return value
        uses = _USES[kind]
        if value is None and info.field_name in uses.required:
            raise refused(f"is required for credential type {kind}")
        if value is not None and info.field_name not in (*uses.required, *uses.optional):
            raise refused(f"is not used by credential type {kind}")
        return value

    @field_validator("object_id", "resource_id")
    @classmethod
    def _one_identity(cls, value: str | None, info: ValidationInfo) -> str | None:
        others = [name for name in ("client_id", "object_id") if info.data.get(name) is not None]
        if value is not None and info.data.get("type") == "managed_identity" and others:
            raise refused(f"give {others[0]} or {info.field_name}, not both")
        return value

    @field_validator("client_secret_file")
    @classmethod
    def _one_secret(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("type") != "client_secret" or "client_secret" not in info.data:
            return value
        if value is None and info.data["client_secret"] is None:
            raise refused("is required where client_secret is not given")
        if value is not None and info.data["client_secret"] is not None:
            raise refused("give client_secret or client_secret_file, not both")
        return value


class Azure(Section):
    """`azure`. The addresses are as the user wrote them, and None but for cloud `custom`."""

    model_config = ConfigDict(validate_default=True)

    cloud: Cloud = Field(
        "public", description="Which Azure: public, usgovernment, china or custom."
    )
    endpoint: Address | None = Field(
        None,
        description="Only for cloud custom, and then required. authority_host may be left out "
        "where the credential is static or managed_identity.",
    )
    audience: Address | None = Field(None, description=SAME)
    authority_host: Annotated[Address, AfterValidator(_authority)] | None = Field(
        None, description=SAME
    )
    api_version: Annotated[str, AfterValidator(_api_version)] = Field(
        "2024-07-01",
        description="The version of the Microsoft.Compute API, as YYYY-MM-DD with or without "
        "-preview.",
    )
    ca_file: OptionalPath = Field(
        "",
        description="The certificate authorities to trust, in PEM form, in place of the system's. "
        "See below.",
    )
    tls_strict: Boolean = Field(
        default=True,
        description="false accepts a certificate that only the strict check of Python 3.13 and "
        "later refuses.",
    )
    detail: Literal["instance_view", "full"] = Field(
        "instance_view",
        description="instance_view asks for the smallest answers. full adds zone, VM size, VM id, "
        "name and protection policy.",
    )
    credential: Credential = Field(default_factory=Credential)

    @field_validator("endpoint", "audience", "authority_host")
    @classmethod
    def _the_cloud_uses_it(cls, value: str | None, info: ValidationInfo) -> str | None:
        cloud = info.data.get("cloud")
        if cloud is None:
            return value
        if cloud != "custom" and value is not None:
            raise refused("is for cloud custom only")
        # A static token and a managed identity come from no authority; unknown may be either.
        asks_nobody = Surroundings.of(info).credential_type in (None, "static", "managed_identity")
        optional = info.field_name == "authority_host" and asks_nobody
        if cloud == "custom" and value is None and not optional:
            raise refused("is required for cloud custom")
        return value
