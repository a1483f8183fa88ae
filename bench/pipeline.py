"""Part 2: from the bytes of an answer to stored blocks, next to Azure's SDK with gauges.

No HTTP: the decompressed answer is there. Nothing is reused from an earlier poll: each page is a
scale set that is polled for the first time, and in each round the mapper is a new one.
"""

from __future__ import annotations

import gc
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.answers import LARGER, PAGE_SIZE, TARGET, USUAL, Shape, pages
from bench.process import print_error
from bench.report import Part, Table, Target
from bench.rounds import alternate, median
from bench.samples import fingerprint, normalised
from bench.scale import Scale
from exporter.azure.decode import decode_instance_page
from exporter.exposition.gzip_block import compressed_block
from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import RENDERED_AT_A_TIME, MappedInstances, Mapper, TargetMemory
from exporter.metrics.normalize import normalize
from exporter.model.instance_view import Instance

if TYPE_CHECKING:
    from bench.peers.sdk import SdkExporter

PAGES, PAGES_QUICK = 8, 2
OUR_ROUNDS = 5
"""How often ours are measured for each time that the peer is: they are over so soon."""

WANTED_MICROSECONDS = 80.0
WANTED_RATIO = 25.0
PEER = "SDK + gauges"
NO_PEER = "azure-mgmt-compute is not installed: `make bench` installs it"
UNCHANGED = "nothing changed since the last poll"
UNCHANGED_PEER = f"{PEER}; {UNCHANGED}"
SILENT = "without Azure's messages"
EVERYTHING = "with the families that are off by default"
STAGES = ("decode", "read", "compress")

Run = Callable[[], float]
"""One measurement; it gives microseconds per instance."""


@dataclass(frozen=True)
class Answers:
    """The pages of one shape, and what was found of them before anything was timed.

    Attributes:
        shape: what the instances have.
        bodies: the pages.
        series: series per instance, those of the instances only.
    """

    shape: Shape
    bodies: list[bytes]
    series: float

    @property
    def instances(self) -> int:
        """How many there are on all pages."""
        return len(self.bodies) * PAGE_SIZE

    @property
    def bytes_each(self) -> float:
        """Bytes of JSON per instance."""
        return sum(map(len, self.bodies)) / self.instances


def measure(scale: Scale) -> Part:
    """Measure the pipeline, its stages and the peer."""
    count = PAGES_QUICK if scale.quick else PAGES
    usual, larger = (_answers(shape, count) for shape in (USUAL, LARGER))
    print_error(f"pipeline: {usual.shape.name}")
    first = _figures({**_ours(usual), **_variants(usual)}, _peer(usual), scale)
    print_error(f"pipeline: {larger.shape.name}")
    second = _figures(_ours(larger), _peer(larger), scale)
    rows = [
        _row(usual.shape.name, first, usual),
        _row(larger.shape.name, second, larger),
        *(
            _row(f"{usual.shape.name}; {name}", _variant(first, name), usual)
            for name in (UNCHANGED, SILENT, EVERYTHING)
        ),
    ]
    table = Table(
        title="Pipeline: from the answer's bytes to stored blocks",
        note=_note(usual, larger, peer=PEER in first),
        columns=(
            "instances", "series each", "µs each", "decode", "read", "render", "compress", PEER,
            "times faster",
        ),
        rows=rows,
    )  # fmt: skip
    return Part(tables=[table], targets=_targets(first))


def map_page(mapper: Mapper, body: bytes, memory: TargetMemory) -> MappedInstances:
    """All that a poll does with a page of a walk of one page, once its bytes are there."""
    mapping = mapper.start(TARGET, memory)
    for chunk in decode_instance_page(body):
        for _ in mapping.steps(chunk):
            pass
    return mapping.finish()


def lines_of(mapped: MappedInstances) -> list[bytes]:
    """The sample lines of all families, as they would be served."""
    return b"".join(block.text for block in mapped.all_lines.values()).splitlines(keepends=True)


def check_same(ours: Sequence[bytes], peers: Sequence[bytes]) -> None:
    """Check that two pages hold the same samples: names, labels and values.

    Raises:
        RuntimeError: naming a sample that only one of them has.
    """
    if fingerprint(ours) == fingerprint(peers):
        return
    found, wanted = (
        {normalised(line) for line in lines if line.startswith(b"azure_vmss_")}
        for lines in (ours, peers)
    )
    odd = sorted(found ^ wanted)[:1] or [b"one of them twice"]
    raise RuntimeError(f"the peer's samples are not ours: {odd[0]!r}")


def _answers(shape: Shape, count: int) -> Answers:
    """The pages of a shape; where the SDK is there, the peer's samples are compared."""
    bodies = pages(shape, count=count)
    mapper = Mapper(full=True)
    series = 0
    for body in bodies:
        mapped = map_page(mapper, body, TargetMemory())
        series += mapped.instance_series
        if _has_peer():
            check_same(lines_of(mapped), _new_peer().export(body).splitlines(keepends=True))
    return Answers(shape, bodies, series / (count * PAGE_SIZE))


def _ours(answers: Answers) -> dict[str, Run]:
    """The whole pipeline, and those of its stages that can be run alone."""
    decoded = [list(_decoded(body)) for body in answers.bodies]
    texts = [text for instances in decoded for text in _texts(instances)]
    scale_set = TARGET.scale_set

    def decode() -> None:
        for body in answers.bodies:
            list(decode_instance_page(body))

    def read() -> None:
        for instances in decoded:
            for instance in instances:
                name = instance.instance_id or ""
                normalize(instance, scale_set=scale_set, instance_id=name, full=True)

    def compress() -> None:
        for text in texts:
            compressed_block(text)

    return {
        "total": _whole(answers),
        "decode": _timed(decode, answers),
        "read": _timed(read, answers),
        "compress": _timed(compress, answers),
    }


def _whole(answers: Answers, *, families: FamilyFilter | None = None, messages: bool = True) -> Run:
    def run() -> float:
        mapper = Mapper(families=families, full=True, messages=messages)

        def work() -> None:
            for body in answers.bodies:
                map_page(mapper, body, TargetMemory())

        return _microseconds(work, answers)

    return run


def _variants(answers: Answers) -> dict[str, Run]:
    """The pipeline in other circumstances, by the row's name."""
    mapper = Mapper(full=True)
    memories = [TargetMemory() for _ in answers.bodies]

    def work() -> None:
        for body, memory in zip(answers.bodies, memories, strict=True):
            map_page(mapper, body, memory)

    work()
    return {
        UNCHANGED: _timed(work, answers),
        SILENT: _whole(answers, messages=False),
        EVERYTHING: _whole(answers, families=FamilyFilter(opt_in=("*",))),
    }


def _variant(figures: Mapping[str, float], name: str) -> dict[str, float]:
    """The figures of a variant as those of a row of its own."""
    peer = (
        {PEER: figures[UNCHANGED_PEER]} if name == UNCHANGED and UNCHANGED_PEER in figures else {}
    )
    return {"total": figures[name], **peer}


def _decoded(body: bytes) -> Iterator[Instance]:
    for chunk in decode_instance_page(body):
        yield from chunk.instances


def _texts(instances: Sequence[Instance]) -> Iterator[bytes]:
    """The texts of the instances' families, in the chunks in which they are compressed."""
    mapper = Mapper(full=True)
    for begin in range(0, len(instances), RENDERED_AT_A_TIME):
        mapping = mapper.start(TARGET, TargetMemory())
        mapping.add(instances[begin : begin + RENDERED_AT_A_TIME])
        for block in mapping.finish().instance_lines.values():
            yield block.text


def _has_peer() -> bool:
    try:
        return importlib.util.find_spec("azure.mgmt.compute") is not None
    except ModuleNotFoundError:
        return False


def _new_peer() -> SdkExporter:
    from bench.peers.sdk import SdkExporter  # noqa: PLC0415 - only where the SDK is installed

    scale_set = TARGET.scale_set
    return SdkExporter(scale_set.subscription_id, scale_set.resource_group, scale_set.name)


def _peer(answers: Answers) -> dict[str, Run]:
    """The peer: as it meets the pages for the first time, and again where nothing changed."""
    if not _has_peer():
        return {}
    peer = _new_peer()
    knowing = [_new_peer() for _ in answers.bodies]

    def work() -> None:
        for body in answers.bodies:
            peer.export(body)
            peer.forget()

    def again() -> None:
        for body, one in zip(answers.bodies, knowing, strict=True):
            one.export(body)

    again()
    return {PEER: _timed(work, answers), UNCHANGED_PEER: _timed(again, answers)}


def _timed(work: Callable[[], None], answers: Answers) -> Run:
    return lambda: _microseconds(work, answers)


def _microseconds(work: Callable[[], None], answers: Answers) -> float:
    # One's garbage is not to be collected in the other's time.
    gc.collect()
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) / answers.instances * 1e6


def _figures(ours: Mapping[str, Run], peer: Mapping[str, Run], scale: Scale) -> dict[str, float]:
    """The median of each measurement, taken in turn."""
    found: dict[str, list[float]] = {}
    # What is loaded by now stays, as in the exporter once it runs; and what one of them keeps
    # must not make the others' collections longer.
    gc.collect()
    gc.freeze()
    try:
        for _ in range(max(5, scale.rounds)):
            for runs, rounds in ((ours, OUR_ROUNDS), (peer, 1)):
                for name, taken in alternate(runs, rounds).items():
                    found.setdefault(name, []).extend(taken)
    finally:
        gc.unfreeze()
    return {name: median(taken) for name, taken in found.items()}


def _row(name: str, figures: Mapping[str, float], answers: Answers) -> tuple[str, ...]:
    total = figures["total"]
    stages = {stage: figures[stage] for stage in STAGES if stage in figures}
    if stages:
        stages["render"] = total - sum(stages.values())
    shown = {stage: f"{found:.0f}" for stage, found in stages.items()}
    peer = figures.get(PEER)
    return (
        name,
        f"{answers.series:.1f}" if name == answers.shape.name else "",
        f"{total:.0f}",
        *(shown.get(stage, "") for stage in ("decode", "read", "render", "compress")),
        "" if peer is None else f"{peer:,.0f}",
        "" if peer is None else f"{peer / total:.0f}",
    )


def _targets(figures: Mapping[str, float]) -> list[Target]:
    total, peer = figures["total"], figures.get(PEER)
    return [
        Target(
            "pipeline, an instance",
            f"at most {WANTED_MICROSECONDS:.0f} µs",
            f"{total:.0f} µs",
            total <= WANTED_MICROSECONDS,
        ),
        Target(
            f"pipeline, faster than {PEER}",
            f"at least {WANTED_RATIO:.0f} times",
            NO_PEER if peer is None else f"{peer / total:.0f} times",
            None if peer is None else peer / total >= WANTED_RATIO,
        ),
    ]


def _note(usual: Answers, larger: Answers, *, peer: bool) -> str:
    """What was measured, and what exactly the columns are."""
    sizes = ", ".join(
        f"{answers.bytes_each:,.0f} bytes of JSON and {answers.series:.1f} series with "
        f"{answers.shape.name}"
        for answers in (usual, larger)
    )
    compared = (
        f"The peer's output had the same samples as ours on every page of both shapes: names, "
        f"labels and values of the instances' families and of the counts. It is *{PEER}*: "
        "azure-mgmt-compute's objects, read into prometheus_client's gauges, and "
        "`generate_latest`; it neither compresses nor keeps Azure's messages, as ours does. "
        "After each page it forgets its samples, but not where nothing changed. "
        if peer
        else f"No peer: {NO_PEER}. "
    )
    return (
        f"µs per instance: `detail: full`, {len(usual.bodies)} different pages of {PAGE_SIZE}, "
        f"each the whole walk of a set that was never polled before; per instance {sizes}. "
        "One in twenty has failed provisioning. No HTTP; one thread, garbage collections "
        f"included. {compared}"
        "*Decode*, *read* and *compress* are measured alone: JSON into structures, structures "
        "into what the families read, the same texts compressed in the same chunks. *Render* is "
        "the rest: lines, counts, and keeping Azure's own items for the JSON, compressed."
    )
