"""How much a run of the benches measures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """The sizes and rounds of one run.

    Attributes:
        quick: Whether this is the short run, of several minutes.
        sizes: Numbers of instances, the smallest first; targets hold for the last.
        alone: One more number of instances, for the exporter alone; `None` without one.
        small_sets: Number of scale sets where there are many small ones.
        rounds: How often each measurement is taken; the median counts.
        slow_rounds: The same for the slow peers, from `slow_size` instances on.
        slow_size: See there: a scrape of prometheus_client takes some 8 s with 10,000 instances,
            and a minute and a half with 100,000.
    """

    quick: bool
    sizes: tuple[int, ...]
    alone: int | None
    small_sets: int
    rounds: int = 5
    slow_rounds: int = 3
    slow_size: int = 100_000

    @property
    def largest(self) -> int:
        """The number of instances that the targets are measured at."""
        return self.sizes[-1]

    @property
    def name(self) -> str:
        """What the report calls this run."""
        return "quick" if self.quick else "full"

    @property
    def sizes_named(self) -> str:
        """The numbers of instances, for the report."""
        sizes = self.sizes if self.alone is None else (*self.sizes, self.alone)
        return ", ".join(f"{size:,}" for size in sizes) + " instances"

    def rounds_of_slow_peers(self, size: int) -> int:
        """How often prometheus_client and promhttp are measured with `size` instances."""
        return self.slow_rounds if size >= self.slow_size else self.rounds

    def plain_rounds_of_slow_peers(self, size: int) -> int:
        """The same without gzip, which no target asks for: never in the quick run."""
        return 0 if self.quick and size >= self.slow_size else self.rounds_of_slow_peers(size)


QUICK = Scale(quick=True, sizes=(1_000, 10_000), alone=None, small_sets=500, slow_size=10_000)
FULL = Scale(quick=False, sizes=(1_000, 10_000, 100_000), alone=1_000_000, small_sets=2_500)
