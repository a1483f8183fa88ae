"""From decoded answers to exposition text, by the catalogue alone.

The mapper is made once from the configuration; a `Mapping` is made per poll, fed with instances
as the pages arrive, and finished into the text of every family. A failed walk throws its mapping
away, so nothing that is served ever changes by half.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from exporter.exposition.gzip_block import Block, compressed_block, join
from exporter.exposition.text_format import SampleWriter, cut, cut_id, escape, label_pairs
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.catalogue.model import tags_family
from exporter.metrics.family import (
    SCALE_SET_LABELS,
    CounterFamily,
    CountFamily,
    DetailFamily,
    Family,
    FamilyFilter,
    Labels,
    ModelFamily,
    PollFamily,
    Row,
    SetFamily,
    Value,
)
from exporter.metrics.field_families import family_of
from exporter.metrics.instance_json import ItemStore
from exporter.metrics.instance_state import SetNames
from exporter.metrics.limited_names import MOST_CODES, LimitedNames
from exporter.metrics.normalize import normalize
from exporter.metrics.rendering import Identified, Renderer
from exporter.metrics.transitions import UNSPECIFIED, Transitions, Walk
from exporter.metrics.trimming import batches
from exporter.metrics.verdict import Summary, Summing
from exporter.model.details import SetDetails
from exporter.model.instance_view import Instance, InstancePage, Problem
from exporter.model.poll import PollState
from exporter.model.scale_set import ScaleSetModel, Target

RENDERED_AT_A_TIME = 100
"""Instances that are rendered and compressed together: enough for a good ratio, and some 5 ms."""

NAMES_AT_A_TIME = 2000
"""Extensions, handlers and disks of them; a hundred usual instances have a thousand."""

Lines = dict[str, Block]
"""The sample lines of each family that has any, by the family's name, compressed."""


@dataclass(slots=True)
class TargetMemory:
    """What must stay the same for a target from poll to poll.

    Attributes:
        spellings: the first spelling of every instance id that is not a number, by the id without
            letter case.
        failure_codes: the failure codes that have series of their own: they keep them, for a
            counter never ends.
        extensions: the extensions that had series of their own in the last walk; they keep them as
            long as they last, whatever else comes.
        handlers: the same of extension handlers.
        disks: the same of disks.
        instances: how many instances the last walk had; None before the first.
        transitions: the counters, and what the next walk is compared with; None before the first
            good one, and where no counter is served.
    """

    spellings: dict[str, str] = field(default_factory=dict)
    failure_codes: set[str] = field(default_factory=set)
    extensions: set[str] = field(default_factory=set)
    handlers: set[str] = field(default_factory=set)
    disks: set[str] = field(default_factory=set)
    instances: int | None = None
    transitions: Transitions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedInstances:
    """One successful walk, mapped.

    Attributes:
        lines: the sample lines of the counts, per family, compressed.
        open_lines: those of the counts by Azure's free words.
        instance_lines: those of the instances.
        series: the number of all.
        instance_series: the number of those of the instances.
        instances: the number of instances.
        details: Azure's own items, compressed, see `ItemStore`.
        mapping_errors: fields left out, counted per family.
        unknown_codes: codes and levels that are not known.
        unsettled: instances in a state that should pass, such as creating or stopping.
        fingerprint: a number that is another when any instance's state is another.
        summary: how the instances are, for people; None from a file of an earlier version.
    """

    lines: Lines
    instance_lines: Lines
    series: int
    instance_series: int
    instances: int
    details: bytes
    mapping_errors: dict[str, int]
    unknown_codes: int
    unsettled: int = 0
    fingerprint: int = 0
    open_lines: Lines = field(default_factory=dict)
    summary: Summary | None = None

    @property
    def all_lines(self) -> Lines:
        """The lines of all families."""
        return {**self.instance_lines, **self.open_lines, **self.lines}


class Mapper:
    """The catalogue as the configuration wants it.

    Args:
        families: which families are served.
        full: whether instances are asked for without `$select`.
        state_sets: `full` for one series per known state, `active` for the one that holds.
        tags: the tags shown on `azure_vmss_tags_info`.
        messages: whether Azure's messages are kept for the JSON of the instances.
    """

    def __init__(
        self,
        *,
        families: FamilyFilter | None = None,
        full: bool = False,
        state_sets: Literal["full", "active"] = "full",
        tags: tuple[str, ...] = (),
        messages: bool = True,
    ) -> None:
        families = families or FamilyFilter()
        declared = [
            tags_family(tags) if family.name == "azure_vmss_tags_info" else family
            for family in CATALOGUE
        ]
        self.families: tuple[Family, ...] = tuple(
            family
            for family in declared
            if families.serves(family.name, opt_in=family.opt_in) and (full or not family.full_only)
        )
        self.full = full
        self.messages = messages
        self.count_families = [f for f in self.families if isinstance(f, CountFamily)]
        self.counter_families = [f for f in self.families if isinstance(f, CounterFamily)]
        self.writers = {
            f.name: SampleWriter(f.name, f.labels, whole=f.whole) for f in self.families
        }
        self._active = state_sets == "active"
        self.renderer = Renderer(self.families, self.writers, active=self._active)

    def start(self, target: Target, memory: TargetMemory, *, flexible: bool = False) -> Mapping:
        """Begin to map one walk over the target's instances, of either kind of set."""
        return Mapping(self, target, memory, flexible=flexible)

    def model(self, target: Target, model: ScaleSetModel) -> Lines:
        """Write the families about the scale set itself."""
        return self._of_set(ModelFamily, target, model)

    def details(self, target: Target, details: SetDetails) -> Lines:
        """Write the families about what is asked for beside the model."""
        return self._of_set(DetailFamily, target, details)

    def poll(self, target: Target, poll: PollState) -> Lines:
        """Write the families about how the target's polls stand."""
        return self._of_set(PollFamily, target, poll)

    def _of_set(self, kind: type[SetFamily[Value]], target: Target, value: Value) -> Lines:
        """Write the families of a kind; those without a sample have no lines."""
        prefix = _identity(target)
        return {
            family.name: _pressed(lines)
            for family in self.families
            if isinstance(family, kind)
            and (lines := self.writers[family.name].write([(prefix, self._rows(family, value))]))
        }

    def _rows(self, family: SetFamily[Value], value: Value) -> Iterable[Row]:
        """The samples of a family; of a state set 0 for states that do not hold, unless active."""
        rows = family.rows(value)
        if not family.states or self._active:
            return rows
        held = {labels for labels, _ in rows}
        return [((state,), int((state,) in held)) for state in family.states if held]

    def counters(self, target: Target, memory: TargetMemory) -> Lines:
        """Write the counters; no lines before the first good walk."""
        if memory.transitions is None:
            return {}
        prefix, counts = _identity(target), memory.transitions.counts
        return {
            family.name: _pressed(self.writers[family.name].write([(prefix, family.rows(counts))]))
            for family in self.counter_families
        }


class Mapping:
    """One walk being mapped: `add` what comes, then `finish`.

    Attributes:
        lost: the number of items so far that could not be read at all.
    """

    def __init__(
        self, mapper: Mapper, target: Target, memory: TargetMemory, *, flexible: bool
    ) -> None:
        self.lost = 0
        self._flexible = flexible
        self._mapper = mapper
        self._target = target
        self._memory = memory
        self._prefix = _identity(target)
        self._seen: set[str] = set()
        self._spellings: dict[str, str] = {}
        codes = memory.failure_codes
        if memory.transitions:
            codes = codes | memory.transitions.counts.failures.keys()
        self._codes = LimitedNames(codes, most=MOST_CODES, free=(UNSPECIFIED,))
        self._names = SetNames(memory.extensions, memory.handlers, memory.disks)
        self._read: list[Identified] = []
        self._blocks: dict[str, list[Block]] = {}
        self._counts: dict[str, Counter[Labels]] = {
            family.name: Counter() for family in mapper.count_families
        }
        self.walk = Walk() if mapper.counter_families else None
        self._items = ItemStore(messages=mapper.messages)
        self._named = 0
        self._errors: Counter[str] = Counter()
        self._unknown_codes = 0
        self._unsettled = 0
        self._fingerprint = 0
        self._summing = Summing()

    @property
    def instances(self) -> int:
        """The number of instances so far."""
        return len(self._seen)

    def add(
        self, instances: Iterable[Instance], problems: Iterable[Problem] = (), *, lost: int = 0
    ) -> None:
        """Map some instances; one that was seen before in this walk is passed over.

        A list that moves while it is paged repeats instances, and a series must not.

        Args:
            instances: the readable items.
            problems: what was left out of items.
            lost: the number of items that could not be read at all.
        """
        self.lost += lost
        for problem in problems:
            self._errors[family_of(problem.path)] += 1
        for instance in instances:
            azure_id = instance.instance_id or ""
            key = cut_id(azure_id.casefold())
            if key in self._seen:
                continue
            self._seen.add(key)
            spelling = key
            if not azure_id.isdecimal():
                # Numbers have one spelling only: the ids of a Uniform set need no memory.
                spelling = self._memory.spellings.get(key) or cut_id(azure_id)
                self._spellings[key] = spelling
            identified = self._identified(instance, spelling)
            self._read.append(identified)
            if self.walk is not None:
                self.walk.see(key, identified[1])
            observed = identified[1]
            self._named += len(observed.extensions) + len(observed.handlers) + len(observed.disks)
            if len(self._read) >= RENDERED_AT_A_TIME or self._named >= NAMES_AT_A_TIME:
                self._render()

    def steps(self, page: InstancePage) -> Iterator[None]:
        """Map a page and keep Azure's items for the JSON, a few milliseconds' work per step."""
        self.add((), page.problems, lost=page.lost)
        for number, batch in enumerate(batches(page.instances)):
            if number:
                yield
            self.add(batch)
        self._items.add(page)

    def finish(self) -> MappedInstances:
        """End the walk; the memory now holds what this walk has seen."""
        self._memory.spellings = self._spellings
        self._memory.failure_codes = self._codes.taken
        self._memory.extensions = self._names.extensions.used
        self._memory.handlers = self._names.handlers.used
        self._memory.disks = self._names.disks.used
        self._memory.instances = self.instances
        self._render()
        lines: Lines = {}
        open_lines: Lines = {}
        for family in self._mapper.count_families:
            rows = self._count_rows(family)
            if text := self._mapper.writers[family.name].write([(self._prefix, rows)]):
                (open_lines if family.open_ended else lines)[family.name] = _pressed(text)
        instance_lines = {name: join(blocks) for name, blocks in self._blocks.items()}
        instance_series = sum(block.lines for block in instance_lines.values())
        mapped = MappedInstances(
            lines=lines,
            instance_lines=instance_lines,
            series=instance_series
            + sum(block.lines for block in (*lines.values(), *open_lines.values())),
            instance_series=instance_series,
            instances=self.instances,
            details=self._items.finish(),
            mapping_errors=dict(self._errors),
            unknown_codes=self._unknown_codes,
            unsettled=self._unsettled,
            fingerprint=self._fingerprint,
            open_lines=open_lines,
            summary=self._summing.finish(),
        )
        # Last of all: a poll that breaks before this has counted nothing.
        if self.walk is not None:
            self.walk.lost = self.lost
            before = self._memory.transitions
            self._memory.transitions = (
                before.after(self.walk) if before else Transitions.begin(self.walk)
            )
        return mapped

    def _identified(self, instance: Instance, instance_id: str) -> Identified:
        observed = normalize(
            instance,
            scale_set=self._target.scale_set,
            instance_id=instance_id,
            full=self._mapper.full or self._flexible,
            flexible=self._flexible,
            names=self._names,
        )
        if observed.failure_code is not None:
            observed.failure_code = self._codes[observed.failure_code]
        self._unknown_codes += observed.unknown_codes
        return f'{self._prefix},instance_id="{escape(instance_id)}"', observed

    def _render(self) -> None:
        for name, text in self._mapper.renderer.render(self._read).items():
            self._blocks.setdefault(name, []).append(_pressed(text))
        all_observed = [observed for _, observed in self._read]
        for family in self._mapper.count_families:
            keys, standby = family.keys, family.of_standby
            counted = [r for r in all_observed if r.in_standby_pool is standby]
            self._counts[family.name].update([key for r in counted for key in keys(r)])
        for observed in all_observed:
            self._unsettled += observed.unsettled
            self._fingerprint ^= observed.fingerprint
            self._summing.see(observed)
        self._read.clear()
        self._named = 0

    def _count_rows(self, family: CountFamily) -> list[Row]:
        counts: dict[Labels, int] = {}
        for key, count in self._counts[family.name].items():
            # Two that are cut to the same text are one series.
            shown = tuple(map(cut, key))
            counts[shown] = counts.get(shown, 0) + count
        rows: dict[Labels, int] = dict.fromkeys(family.always, 0)
        if family.beside is not None:
            for key in counts:
                rows.update(dict.fromkeys(family.beside(key), 0))
        rows.update(counts)
        return list(rows.items())


def _identity(target: Target) -> str:
    scale_set = target.scale_set
    names = (*SCALE_SET_LABELS, *(name for name, _ in target.labels))
    values = (
        cut_id(scale_set.subscription_id),
        cut_id(scale_set.resource_group),
        cut_id(scale_set.name),
        *(cut(value) for _, value in target.labels),
    )
    return label_pairs(names, values)


def _pressed(lines: str) -> Block:
    return compressed_block(lines.encode(errors="replace"))
