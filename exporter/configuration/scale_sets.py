"""`scale_sets` and `discovery`: which scale sets are polled."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator

from exporter.configuration.credentials import CredentialName
from exporter.configuration.fields import (
    SAME,
    Duration,
    Interval,
    Labels,
    Pattern,
    Placeholder,
    Section,
    expected,
    refused,
)
from exporter.model.scale_set import ScaleSetId

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RESOURCE_GROUP = re.compile(r"[\w.()-]{1,90}(?<!\.)")
# A name of dots alone would climb up in the path of the address.
_NAME = re.compile(r"(?!\.+$)[A-Za-z0-9._-]{1,64}")

_EXPECTED_GUID = "a subscription id such as 00000000-0000-0000-0000-000000000000"
_EXPECTED_GROUP = "a resource group's name (1 to 90 letters, digits, - _ . ( ), no dot at the end)"
_EXPECTED_NAME = "a scale set's name (1 to 64 letters, digits, - _ .)"
_EXPECTED_ID = (
    "a resource id such as /subscriptions/00000000-0000-0000-0000-000000000000"
    "/resourceGroups/rg-web/providers/Microsoft.Compute/virtualMachineScaleSets/web"
)


def _subscription_id(text: str) -> str:
    if not _GUID.fullmatch(text):
        raise expected(_EXPECTED_GUID)
    return text


def _resource_group(text: str) -> str:
    if not _RESOURCE_GROUP.fullmatch(text):
        raise expected(_EXPECTED_GROUP)
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise expected(_EXPECTED_NAME)
    return text


def _resource_id(text: str) -> str:
    scale_set = ScaleSetId.parse(text)
    if scale_set is None:
        raise expected(_EXPECTED_ID)
    if not _GUID.fullmatch(scale_set.subscription_id):
        raise expected(f"a resource id with {_EXPECTED_GUID}")
    if not _RESOURCE_GROUP.fullmatch(scale_set.resource_group):
        raise expected(f"a resource id with {_EXPECTED_GROUP}")
    if not _NAME.fullmatch(scale_set.name):
        raise expected(f"a resource id with {_EXPECTED_NAME}")
    return text


SubscriptionId = Annotated[str, AfterValidator(_subscription_id), Placeholder("guid")]


class ScaleSet(Section):
    """One entry of `scale_sets`: either the full resource id, or the three names."""

    # A name that is not given has a rule too.
    model_config = ConfigDict(validate_default=True)

    id: Annotated[str, AfterValidator(_resource_id)] | None = Field(
        None, description="Either the full resource id ..."
    )
    subscription_id: SubscriptionId | None = Field(None, description="... or the three names.")
    resource_group: Annotated[str, AfterValidator(_resource_group)] | None = Field(
        None, description=SAME
    )
    name: Annotated[str, AfterValidator(_name)] | None = Field(None, description=SAME)
    interval: Interval | None = Field(None, description="polling.interval where not given.")
    labels: Labels = Field(
        default_factory=dict,
        description="Extra labels on this set's series. Every set gets the same label names, empty "
        "where it has none.",
    )
    credential: CredentialName | None = Field(
        None, description="One of credentials; azure.credential where not given."
    )

    @field_validator("subscription_id", "resource_group", "name")
    @classmethod
    def _id_or_names(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "id" not in info.data:
            return value
        if info.data["id"] is None and value is None:
            raise refused("is required")
        if info.data["id"] is not None and value is not None:
            raise refused("is in the id already; give the id or the three names, not both")
        return value

    @property
    def scale_set(self) -> ScaleSetId:
        """The scale set, in the spelling of the file."""
        from_id = ScaleSetId.parse(self.id or "")
        if from_id is not None:
            return from_id
        # The validation leaves no None here; the types cannot say so.
        return ScaleSetId(self.subscription_id or "", self.resource_group or "", self.name or "")


ALL = "all"
"""In the place of a subscription: every one that the identity may see."""


def _subscription(text: str) -> str:
    return text if text == ALL else _subscription_id(text)


Subscription = Annotated[str, AfterValidator(_subscription), Placeholder("guid")]


class Discovery(Section):
    """One entry of `discovery`: which scale sets of some subscriptions are found and polled."""

    subscriptions: tuple[Subscription, ...] = Field(
        min_length=1,
        description="At least one; `all` stands for every subscription that the identity may see.",
    )
    resource_groups: tuple[Pattern, ...] = Field((), description="All where not given.")
    names: tuple[Pattern, ...] = Field((), description=SAME)
    tags: dict[str, str] = Field(
        default_factory=dict, description="Tags that a scale set must all have."
    )
    refresh: Duration = Field(300.0, description="Between two refreshes.")
    interval: Interval | None = Field(None, description="polling.interval where not given.")
    labels: Labels = Field(
        default_factory=dict, description="Extra labels on the series of the sets that are found."
    )
    credential: CredentialName | None = Field(
        None, description="One of credentials; azure.credential where not given."
    )
