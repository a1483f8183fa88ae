"""`azure.credential` and `credentials`: how the exporter proves who it is."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from exporter.configuration.addresses import Address, Authority, Cloud, check_address
from exporter.configuration.fields import (
    SAME,
    FilePath,
    Placeholder,
    Section,
    Text,
    expected,
    refused,
)

_IDENTITY = re.compile(
    r"/subscriptions/[^/\s]+/resource-?groups/[^/\s]+"
    r"/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/[^/\s]+",
    re.IGNORECASE,
)


def _resource_id(text: str) -> str:
    if not _IDENTITY.fullmatch(text):
        raise expected(
            "the resource id of a user-assigned identity, /subscriptions/…/resourceGroups/…/"
            "providers/Microsoft.ManagedIdentity/userAssignedIdentities/…"
        )
    return text


CredentialType = Literal[
    "default",
    "managed_identity",
    "workload_identity",
    "client_secret",
    "client_certificate",
    "azure_cli",
    "static",
]


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


class NamedCredential(Credential):
    """One of `credentials`: a credential of another tenant, or of another cloud."""

    cloud: Cloud | None = Field(
        None,
        description="Which Azure it is of, with the addresses of one that is custom; that of "
        "azure where not given.",
    )
    endpoint: Address | None = Field(None, description=SAME)
    audience: Address | None = Field(None, description=SAME)
    authority_host: Authority | None = Field(None, description=SAME)

    @field_validator("endpoint", "audience", "authority_host")
    @classmethod
    def _the_cloud_uses_it(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "cloud" in info.data:
            cloud, kind = info.data["cloud"], info.data.get("type")
            check_address(value, info.field_name, cloud=cloud, credential_type=kind)
        return value


_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise expected("a name of 1 to 64 letters, digits, - _ .")
    return text


CredentialName = Annotated[str, AfterValidator(_name), Placeholder("name")]
"""The name of one of `credentials`."""
