"""What goes wrong between Azure and its client, on order: in the fleet file or from a test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

Kind = Literal[
    # An answer of Azure's in place of the wanted one.
    "status",
    "throttled",
    "unavailable_html",
    "html_200",
    "empty_body",
    "redirect",
    "claims_challenge",
    # The connection misbehaves.
    "reset",
    "stalled",
    "delay",
    "cut_connection",
    "wrong_content_length",
    "truncated_json",
    "truncated_gzip",
    "endless_body",
    "slow_drip",
    # The answer itself is odd.
    "next_link_elsewhere",
    "next_link_loop",
    "next_link_repeat",
    "next_link_unencoded",
    "next_link_empty",
    "empty_page_with_next_link",
    "skiptoken_refused",
    "zones_null",
    "item_not_object",
    "item_without_id",
    "item_without_view",
    "item_repeated",
    "value_not_list",
    "value_missing",
    "body_not_object",
    "null_everywhere",
    "unknown_fields",
]
Shape = Literal["crp", "crp_unwrapped", "crp_two", "arm", "arm_resource", "oldest", "temporary"]
Operation = Literal[
    "instances",
    "instance",
    "scale_set",
    "scale_set_view",
    "scale_sets",
    "virtual_machine",
    "virtual_machines",
    "subscriptions",
    "resource_groups",
    "rolling_upgrade",
    "lifecycle_hooks",
    "standby_pool",
    "standby_pools",
    "autoscale",
    "graph",
    "token",
]


class Fault(BaseModel):
    """One thing that goes wrong, for the requests it matches.

    Attributes:
        kind: what goes wrong.
        scale_set: only for the scale set of that name.
        page: only for that page of the instance list, the first being 1.
        operation: only for that call; without it for every call but the token service's.
        times: how often it happens; without it for ever.
        after, until: only in that span of seconds of the fleet's life.
        status: the HTTP status of kind `status`.
        shape: the body of kind `throttled`.
        retry_after: the Retry-After header, where one is to be sent.
        policy: the bucket that kind `throttled` names.
        url: where `redirect` and `next_link_elsewhere` point to.
        seconds: how long `delay` waits, and `slow_drip` between two chunks.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Kind
    scale_set: str | None = None
    page: int | None = Field(default=None, ge=1)
    operation: Operation | None = None
    times: int | None = Field(default=None, ge=1)
    after: float = 0.0
    until: float | None = None
    status: int = Field(default=500, ge=400, le=599)
    shape: Shape = "crp"
    retry_after: str | None = None
    policy: str = "HighCostGetVMScaleSetResource"
    url: str | None = None
    seconds: float = Field(default=0.2, ge=0.0)
    _happened: int = PrivateAttr(default=0)
    _refused_token: str | None = PrivateAttr(default=None)

    @property
    def happened(self) -> int:
        """How often it has happened."""
        return self._happened

    def matches(
        self, *, operation: str, scale_set: str | None, page: int | None, elapsed: float
    ) -> bool:
        """Whether it strikes this request."""
        if self.times is not None and self._happened >= self.times:
            return False
        if elapsed < self.after or (self.until is not None and elapsed >= self.until):
            return False
        if self.operation is None:
            if operation == "token":
                return False
        elif self.operation != operation:
            return False
        if self.scale_set is not None and self.scale_set.casefold() != (scale_set or "").casefold():
            return False
        return self.page is None or self.page == page

    def refuses(self, token: str) -> bool:
        """For `claims_challenge`: whether this is the token that met it first."""
        if self._refused_token is None:
            self._refused_token = token
        return self._refused_token == token

    def strike(self) -> None:
        """Count that it happened."""
        self._happened += 1


class Faults:
    """The faults in force; all that match a request strike it."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = list(faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    def append(self, fault: Fault) -> Fault:
        """Put a fault in force, and give it back."""
        self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """End one fault. Raises ValueError where it is not in force."""
        self._faults.remove(fault)

    def clear(self) -> None:
        """End all faults."""
        self._faults.clear()

    def strike(
        self, *, operation: str, scale_set: str | None, page: int | None, elapsed: float
    ) -> list[Fault]:
        """The faults that strike this request, counted."""
        struck = [
            fault
            for fault in self._faults
            if fault.matches(operation=operation, scale_set=scale_set, page=page, elapsed=elapsed)
        ]
        for fault in struck:
            fault.strike()
        return struck
