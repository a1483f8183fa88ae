"""Whether anything grows with time: sampled after a warm-up, judged by the slope."""

from __future__ import annotations

import gc
import os
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def memory() -> dict[str, float]:
    """What this process holds, after a collection."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {
        "resident memory, MiB": pages * _PAGE / 2**20,
        "allocated blocks": float(sys.getallocatedblocks()),
        "tracked objects": float(len(gc.get_objects())),
    }


@dataclass
class Growth:
    """Samples of several figures over time.

    Attributes:
        allowed: by figure, how much it may grow from the first sample to the last, in its unit;
            one that is not named may do as it likes.
    """

    allowed: Mapping[str, float]
    times: list[float] = field(default_factory=list)
    samples: dict[str, list[float]] = field(default_factory=dict)

    def add(self, time: float, figures: Mapping[str, float]) -> None:
        """Take a sample; every sample has the same figures."""
        self.times.append(time)
        for name, value in figures.items():
            self.samples.setdefault(name, []).append(value)

    def grown(self, name: str) -> float:
        """By how much a figure grew from the first sample to the last, along its trend."""
        if len(self.times) < 3:  # noqa: PLR2004 - two points are no trend
            return 0.0
        slope = statistics.linear_regression(self.times, self.samples[name]).slope
        return slope * (self.times[-1] - self.times[0])

    def breaches(self) -> list[str]:
        """What grew more than it may."""
        return [
            f"{name} grew by {self.grown(name):,.1f}, more than {limit:,.1f}"
            for name, limit in self.allowed.items()
            if name in self.samples and self.grown(name) > limit
        ]

    def rows(self) -> list[tuple[str, str]]:
        """The figures for people."""
        return [
            (
                name,
                f"{min(values):,.0f} to {max(values):,.0f}, trend {self.grown(name):+,.1f}",
            )
            for name, values in self.samples.items()
        ]
