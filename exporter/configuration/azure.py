"""`azure`: which cloud is asked, how, and with which credential."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator

from exporter.configuration.addresses import Address, Authority, Cloud, check_address
from exporter.configuration.credentials import Credential
from exporter.configuration.fields import (
    SAME,
    Boolean,
    OptionalPath,
    Section,
    Surroundings,
    expected,
)

_API_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(-[A-Za-z][A-Za-z0-9]*)?")


def _api_version(text: str) -> str:
    if not _API_VERSION.fullmatch(text):
        raise expected("an API version such as 2024-07-01 or 2016-04-30-preview")
    return text


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
    authority_host: Authority | None = Field(None, description=SAME)
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
        if (cloud := info.data.get("cloud")) is not None:
            kind = Surroundings.of(info).credential_type
            check_address(value, info.field_name, cloud=cloud, credential_type=kind)
        return value
