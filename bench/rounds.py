"""Measurements that take turns, so that a slow minute of the machine hits all of them."""

import statistics
from collections.abc import Callable, Mapping, Sequence


def alternate(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run the measurements in the order A B C A B C, and give each one's figures.

    Args:
        runs: Measurements by name; each gives one figure.
        rounds: How often each is run.

    Returns:
        The figures by name, in the order they were measured.
    """
    figures: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            figures[name].append(run())
    return figures


def median(figures: Sequence[float]) -> float:
    """The middle figure: one disturbed round does not move it."""
    return statistics.median(figures)
