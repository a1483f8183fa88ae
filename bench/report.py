"""What the benches found, on the terminal and as `docs/benchmarks.md`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """One table of the report.

    Attributes:
        note: What was measured, and how; markdown. Empty for none.
        rows: Cells as they are printed.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True)
class Target:
    """One figure to reach.

    Attributes:
        name: What is measured.
        wanted: The figure to reach, as text.
        measured: The figure of this run, as text; why there is none where `reached` is `None`.
        reached: `None` where it was not measured.
    """

    name: str
    wanted: str
    measured: str
    reached: bool | None


@dataclass(frozen=True)
class Part:
    """What one part of the suite found."""

    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    """A part that could not be measured."""

    part: str
    reason: str


def targets_table(targets: Iterable[Target]) -> Table:
    """The targets of all parts as one table."""
    words = {True: "yes", False: "**no**", None: "not measured"}
    return Table(
        title="To reach",
        note="",
        columns=("target", "wanted", "measured", "reached"),
        rows=[
            (target.name, target.wanted, target.measured, words[target.reached])
            for target in targets
        ],
    )


def aligned(table: Table) -> str:
    """A table for the terminal: columns as wide as their widest cell."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.columns))]
    rule = tuple("-" * width for width in widths)
    body = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (table.columns, rule, *table.rows)
    ]
    return "\n".join(["", table.title, *([table.note] if table.note else []), "", *body, ""])


def markdown(table: Table) -> str:
    """A table as markdown, under a heading of the second level."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = "|" + "|".join(["---"] * len(table.columns)) + "|"
    note = [table.note, ""] if table.note else []
    body = [line(table.columns), rule, *(line(row) for row in table.rows)]
    return "\n".join([f"## {table.title}", "", *note, *body, ""])


def document(
    *,
    facts: Sequence[tuple[str, str]],
    command: str,
    parts: Sequence[Part],
    failures: Sequence[Failure],
) -> str:
    """The whole report as markdown.

    Args:
        facts: The date, the machine, the versions and the size, as names and values.
        command: The command that made it.
        parts: What was found, in the order to print.
        failures: The parts that could not be measured.
    """
    head = [
        "# Benchmarks",
        "",
        f"Written by `{command}`; do not edit.",
        "",
        "Every figure is a median, measured in turn with its peers in one run on one machine:",
        "read the ratios, not the times.",
        "",
        markdown(Table("Machine and versions", "", ("", ""), list(facts))),
    ]
    failed = [f"Part *{failure.part}* failed: {failure.reason}\n" for failure in failures]
    targets = [target for part in parts for target in part.targets]
    tables = [markdown(table) for part in parts for table in part.tables]
    return "\n".join([*head, *failed, markdown(targets_table(targets)), *tables])


def write(path: Path, text: str) -> None:
    """Put the report in place in one step."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
