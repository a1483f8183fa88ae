"""How the polls of one scale set stand: what `azure_vmss_up` and its neighbours tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PollState:
    """The outcome of a scale set's polls so far; replaced whole after each of them.

    Attributes:
        up: whether the last poll succeeded; False until the first success.
        interval: the seconds between two polls that are in force.
        tried: whether any poll has ended yet.
        reason: why the last poll failed, of the closed set of `poll_failures_total`.
        message: what failed and what to do, for people; shown in logs and the JSON only.
        last_success: Unix time at which the served data was fetched.
        duration: seconds that the last poll took.
        suppressed: whether the series limit suppresses the instance families of the set.
        model_last_success: Unix time at which the scale set model was fetched.
    """

    up: bool = False
    interval: float
    tried: bool = False
    reason: str | None = None
    message: str | None = None
    last_success: float | None = None
    duration: float | None = None
    suppressed: bool = False
    model_last_success: float | None = None
