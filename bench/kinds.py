"""Part 8: the pipeline of a Flexible set's instances beside that of a Uniform one's."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence

import msgspec

from bench import figures
from bench.answers import PAGE_SIZE, TARGET
from bench.fleet import Orchestration, build
from bench.report import Part, Table
from bench.rounds import alternate, median
from bench.scale import Scale
from exporter.azure.decode import decode_instance_page
from exporter.metrics.mapper import Mapper, TargetMemory
from exporter.simulator.instance_answers import View, list_item, machine_item

PAGES = 4
ROUNDS = 15
WANTED = 1.15
KINDS: tuple[Orchestration, ...] = ("uniform", "flexible")

_NOW = 1_795_000_000.25


def measure(scale: Scale) -> Part:
    """Measure both, in turn, from the bytes of an answer to stored blocks."""
    bodies = {kind: pages(kind) for kind in KINDS}
    runs: dict[str, Callable[[], float]] = {
        kind: _run(found, flexible=kind == "flexible") for kind, found in bodies.items()
    }
    found = alternate(runs, max(5, ROUNDS // 3) if scale.quick else ROUNDS)
    each = {kind: median(times) for kind, times in found.items()}
    ratio = each["flexible"] / each["uniform"]
    rows: list[tuple[str, ...]] = [
        (
            kind,
            f"{sum(map(len, bodies[kind])) / (PAGES * PAGE_SIZE):,.0f}",
            figures.number(each[kind]),
            f"{each[kind] / each['uniform']:.2f}",
        )
        for kind in KINDS
    ]
    table = Table(
        title="Both kinds of sets",
        note=f"Pages of {PAGE_SIZE} instances with all fields, mapped as those of a first poll.",
        columns=("kind", "bytes each", "µs each", "of uniform"),
        rows=rows,
    )
    target = figures.at_most("an instance of a Flexible set", WANTED, ratio, "× a Uniform one")
    return Part(tables=[table], targets=[target])


def pages(kind: Orchestration) -> list[bytes]:
    """The pages of a set of that kind, of the same size."""
    fleet = build(1, PAGES * PAGE_SIZE, orchestration=kind)
    fleet.advance(_NOW)
    view = View(version="2024-07-01", expand=True, select=None, start=fleet.unix_time(0), now=_NOW)
    [scale_set] = fleet.scale_sets
    shape: Callable[..., object] = machine_item if kind == "flexible" else list_item
    bodies: list[bytes] = []
    start: str | None = None
    for _ in range(PAGES):
        instances, start = scale_set.page(start, PAGE_SIZE, lambda _: True)
        items = [shape(scale_set, instance, view) for instance in instances]
        bodies.append(msgspec.json.encode({"value": items}))
    return bodies


def _run(bodies: Sequence[bytes], *, flexible: bool) -> Callable[[], float]:
    def run() -> float:
        mapper = Mapper(full=True)
        gc.collect()
        begun = time.process_time()
        for body in bodies:
            mapping = mapper.start(TARGET, TargetMemory(), flexible=flexible)
            for chunk in decode_instance_page(body):
                for _ in mapping.steps(chunk):
                    pass
            mapping.finish()
        return (time.process_time() - begun) / (len(bodies) * PAGE_SIZE) * 1e6

    return run
