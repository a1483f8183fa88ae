"""Part 5: what one instance costs, at one, ten and a hundred times the size."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from bench import figures, memory, scrape
from bench.report import Part, Table
from bench.scale import Scale
from bench.scrape import OURS

FLAT = 1.5
"""A cost per instance that grows by no more than this is flat."""

NOTE = """\
The exporter's own costs per instance, from the figures of the other parts: at each size, and for
each further instance from one size to the next, which leaves out what is there without any. A
whole sweep is all its processor time, from the requests to the swap, own families' scrapes while
waiting included. Growth is the larger of two ratios: the last cost per instance to the first, and
the last slope to the first.
"""


@dataclass(frozen=True)
class Cost:
    """One figure at every size.

    Attributes:
        name: what it is.
        unit: of the figure per instance.
        totals: for all instances together, by the number of instances.
    """

    name: str
    unit: str
    totals: dict[int, float]

    @property
    def per_instance(self) -> list[float]:
        """The cost of one instance at each size."""
        return [total / size for size, total in self.totals.items()]

    @property
    def slopes(self) -> list[float]:
        """The cost of one further instance between each two sizes."""
        return [
            (after - before) / (larger - smaller)
            for (smaller, before), (larger, after) in itertools.pairwise(self.totals.items())
        ]

    @property
    def growth(self) -> float:
        """How many times as much the last instance costs as the first.

        A slope of nothing, where noise hides it, cannot be compared and counts as flat.
        """
        ratios = [self.per_instance[-1] / self.per_instance[0]]
        if len(self.slopes) > 1 and self.slopes[0] > 0:
            ratios.append(self.slopes[-1] / self.slopes[0])
        return max(ratios)


def measure(scale: Scale) -> Part:
    """Compare the cost of one instance at all sizes; measures what was not measured yet."""
    found = costs(scale)
    worst = max(found, key=lambda cost: cost.growth)
    sizes = [f"{size:,}" for size in scale.sizes]
    steps = [f"{first} → {second}" for first, second in itertools.pairwise(sizes)]
    rows = [
        (
            cost.name,
            cost.unit,
            *(figures.number(value) for value in (*cost.per_instance, *cost.slopes)),
            f"{figures.number(cost.growth)} ×",
        )
        for cost in found
    ]
    columns = ("cost", "per instance in", *sizes, *steps, "growth")
    name = f"growth up to {scale.largest:,} instances, the worst: {worst.name}"
    return Part(
        [Table("Growth", NOTE.rstrip(), columns, rows)],
        [figures.at_most(name, FLAT, worst.growth, "×")],
    )


def costs(scale: Scale) -> list[Cost]:
    """All costs that grow with the fleet."""
    scraped = scrape.measured(scale)
    weights = memory.measured(scale)
    return [
        Cost(
            "scrape, gzip",
            "µs",
            {at.size: at.timings[OURS, True].seconds * 1e6 for at in scraped},
        ),
        Cost(
            "scrape, identity",
            "µs",
            {at.size: at.timings[OURS, False].seconds * 1e6 for at in scraped},
        ),
        Cost("whole sweep", "µs", {at.size: at.sweep_seconds * 1e6 for at in scraped}),
        Cost(
            "memory at rest",
            "bytes",
            {at.size: float(at.polled.resident - at.start) for at in weights},
        ),
        Cost(
            "memory at the peak",
            "bytes",
            {at.size: float(at.scraped.peak - at.start) for at in weights},
        ),
    ]
