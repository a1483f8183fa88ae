"""How the simulator's tests write addresses, and what they get back."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from multidict import CIMultiDict

TOKEN = "simulated-token"
SELECT = "$expand=instanceView&$select=instanceView&"
EXPAND = "$expand=instanceView&"
POLICY = "HighCostGetVMScaleSetResource"


@dataclass(frozen=True)
class Reply:
    """An answer read to its end."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def ids(self) -> list[str]:
        return [item["instanceId"] for item in self.document["value"]]

    @property
    def error(self) -> Any:
        return self.document["error"]

    @property
    def remaining(self) -> dict[str, int]:
        """What every policy has left, of one header or of several."""
        pairs = ",".join(self.headers.getall("x-ms-ratelimit-remaining-resource", [])).split(",")
        split = [pair.removeprefix("Microsoft.Compute/").partition(";") for pair in pairs if pair]
        return {policy: int(left) for policy, _, left in split}


Ask = Callable[..., Coroutine[Any, Any, Reply]]


def set_path(name: str, group: str = "rg-web") -> str:
    return (
        f"/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/{group}"
        f"/providers/Microsoft.Compute/virtualMachineScaleSets/{name}"
    )


def list_path(
    name: str, group: str = "rg-web", *, query: str = SELECT, version: str = "2024-07-01"
) -> str:
    return f"{set_path(name, group)}/virtualMachines?{query}api-version={version}"
