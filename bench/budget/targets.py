"""What is to be reached, and what was."""

from __future__ import annotations

from collections.abc import Sequence

from bench.budget.trial import Result, Way
from bench.report import Target

SEEN_PART, QUIET_PART = 1 / 3, 1.25
COMPARED_SETS = 1_000


def targets(results: Sequence[Result]) -> list[Target]:
    """The targets of every trial of the exporter's, against its baselines where there are any."""
    found: list[Target] = []
    for ours in results:
        if ours.way != "exporter":
            continue
        found += _good_neighbour(ours)
        if ours.fleet.has_target:
            found.append(_target(ours, "mean age", ours.mean_age, ours.target_age, "{:.1f} s"))
        fixed, robin = (_baseline(results, ours, way) for way in ("fixed", "round robin"))
        if fixed is not None and fixed.throttled and ours.fleet.has_target:
            found.append(_target(ours, "mean age against F", ours.mean_age, fixed.mean_age,
                                 "{:.1f} s"))  # fmt: skip
        if robin is not None and len(ours.fleet.all_sizes) == COMPARED_SETS:
            found.append(_target(ours, "failure seen, against R", ours.seen_after,
                                 SEEN_PART * robin.seen_after, "{:.1f} s"))  # fmt: skip
            found.append(_target(ours, "quiet sets' age against R", ours.quiet_age,
                                 QUIET_PART * robin.quiet_age, "{:.1f} s"))  # fmt: skip
    return found


def _good_neighbour(ours: Result) -> list[Target]:
    return [
        _target(ours, "throttled answers", float(ours.throttled), 0.0, "{:.0f}"),
        _target(ours, "neighbour's throttled answers", float(ours.neighbour_refused), 0.0,
                "{:.0f}"),
        _target(ours, "requests of share × refill, any minute", ours.request_part, 1.0, "{:.2f}"),
        _target(ours, "VM views of share × refill, any minute", ours.view_part, 1.0, "{:.2f}"),
        _target(ours, "lists of machines of share × refill, any minute", ours.machine_part, 1.0,
                "{:.2f}"),
        # Used by both up to the refill, a bucket never falls below two thirds.
        _target(ours, "spent of the bucket", ours.most_spent, 1 / 3, "{:.1%}"),
    ]  # fmt: skip


def _target(ours: Result, name: str, measured: float, limit: float, form: str) -> Target:
    return Target(
        name=f"{ours.fleet.name}, neighbour {ours.neighbour:.0%}: {name}",
        wanted=f"at most {form.format(limit)}",
        measured=form.format(measured),
        reached=measured <= limit,
    )


def _baseline(results: Sequence[Result], ours: Result, way: Way) -> Result | None:
    return next(
        (
            result
            for result in results
            if result.way == way
            and result.fleet == ours.fleet
            and result.neighbour == ours.neighbour
        ),
        None,
    )
