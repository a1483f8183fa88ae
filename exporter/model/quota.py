"""How much of Azure's read quota is spent, for people."""

from __future__ import annotations

from typing import NamedTuple


class QuotaUse(NamedTuple):
    """One of Azure's limits, which a subscription has in each region.

    Attributes:
        subscription_id: whose it is.
        location: the region; empty for sets whose region is not known yet.
        policy: its name, as Azure spells it.
        used: what the exporter was charged in the last minute.
        allowed: what it may spend in a minute.
    """

    subscription_id: str
    location: str
    policy: str
    used: float
    allowed: float

    @property
    def ratio(self) -> float:
        """The part of the allowance that is used."""
        return self.used / self.allowed if self.allowed else 0.0
