"""What the bench found, as tables and as `docs/budget-benchmarks.md`."""

from __future__ import annotations

from collections.abc import Sequence

from bench import machine, report
from bench.budget.targets import targets
from bench.budget.trial import Result

_MACHINE = ("date", "processor", "memory", "kernel", "Python")

_ABOUT = """\
The exporter as it is assembled polls the simulated Azure, which enforces Azure's documented
buckets, in simulated time: {minutes:g} minutes after a warm-up of ten. Every set wishes to be
polled each 60 seconds, `polling.budget_share` is 0.5, and 5 % of the sets are active: failures
fall there alone. The neighbour is another client that takes that part of the refill, evenly.

- **F** polls every set each 60 seconds, whatever Azure says.
- **R** polls one set after the other, and spends as many calls as the exporter did.
- **B**, by which ages are judged, is the interval that the quota allows to all sets alike, or the
  requested one. A mean age of B/2 is what even polling gives; the target is 1.2 × B/2 plus the mean
  duration of a walk.

Only the time that the bench takes depends on the machine. That no fault loses or falsifies
anything is the matter of `tests/faults/` and of `make soak`.
The same over real sockets: [in real time](budget-benchmarks-real-time.md)."""

_NOTE = """\
Charges are the most in one simulated minute (in brackets: in any 60 seconds), as part of share ×
refill. *Spent*: how much of the fuller-used bucket was gone at worst, the neighbour's part
included. *Seen*: the median time from a failure in a moving set to the end of the poll that shows
it; one that no poll has shown counts as never. Ages are sampled each second."""


def to_reach(results: Sequence[Result]) -> report.Table:
    """Every target with what was measured."""
    return report.targets_table(targets(results))


def trials(results: Sequence[Result]) -> report.Table:
    """Everything that was measured."""
    return report.Table(
        title="Trials",
        note=_NOTE,
        columns=(
            "fleet", "neighbour", "who polls", "429", "429 in warm-up", "neighbour's 429", "calls",
            "requests", "VM views", "spent", "mean age", "target", "quiet sets", "oldest",
            "seen", "never seen", "walk",
        ),
        rows=[_row(result) for result in results],
    )  # fmt: skip


def facts_of_machine() -> list[tuple[str, ...]]:
    """The machine; software that is not used here is left out."""
    return [fact for fact in machine.facts() if fact[0] in _MACHINE]


def document(results: Sequence[Result], *, command: str, minutes: float) -> str:
    """The whole report as markdown.

    Args:
        command: what made it.
        minutes: simulated minutes that each trial measured.
    """
    took = sum(result.took for result in results)
    facts = [*facts_of_machine(), ("time that all trials took", f"{took / 60:.0f} min")]
    return "\n".join(
        [
            "# Budget benchmarks",
            "",
            f"Written by `{command}`; do not edit.",
            "",
            _ABOUT.format(minutes=minutes),
            "",
            report.markdown(to_reach(results)),
            report.markdown(trials(results)),
            report.markdown(report.Table("Machine", "", ("", ""), facts)),
        ]
    )


def _row(result: Result) -> tuple[str, ...]:
    return (
        result.fleet.name,
        f"{result.neighbour:.0%}",
        result.way,
        f"{result.throttled:,}",
        f"{result.throttled_in_warm_up:,}",
        f"{result.neighbour_refused:,}",
        f"{result.calls:,}",
        f"{result.request_part:.2f} ({result.request_span:.2f})",
        f"{result.view_part:.2f} ({result.view_span:.2f})",
        f"{result.most_spent:.0%}",
        f"{result.mean_age:.1f} s",
        f"{result.target_age:.1f} s" if result.fleet.has_target else "none",
        f"{result.quiet_age:.1f} s",
        f"{result.oldest:.0f} s",
        f"{result.seen_after:.1f} s",
        f"{result.missed:.0%} of {result.failures}",
        f"{result.walk_time:.2f} s",
    )
