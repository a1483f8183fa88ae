"""Part 7: what a start costs, up to the answer or up to listening."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench import figures
from bench.process import ROOT, print_error, running
from bench.report import Part, Table, Target
from bench.scale import Scale

ROUNDS = 5
SETS = (1, 2_500, 10_000)

VERSION_LIMIT = 0.25
LISTENING_LIMIT = 1.0
READING_LIMIT = 1.0

NOTE = """\
Processor seconds of the whole process: wall times depend on what else the machine does. Reading and
checking is what `--config.check` takes beyond the same with one set. Listening is everything from
the start of the interpreter until the log says so, with a credential of azure-identity.
"""


def measure(_: Scale) -> Part:
    """Start the exporter again and again, in turn."""
    print_error("start: --version, --config.check, listening")
    with tempfile.TemporaryDirectory() as folder:
        files = {sets: _configuration(Path(folder), sets) for sets in SETS}
        rounds = [_round(files) for _ in range(ROUNDS)]
    seconds = {name: median(one[name] for one in rounds) for name in rounds[0]}
    alone = seconds[f"--config.check, {SETS[0]:,} set"]
    reading = seconds[f"--config.check, {SETS[1]:,} sets"] - alone
    rows: list[tuple[str, ...]] = [
        (name, figures.number(value * 1000)) for name, value in seconds.items()
    ]
    targets: list[Target] = [
        figures.at_most("start: --version", VERSION_LIMIT, seconds["--version"], "s"),
        figures.at_most("start: listening, one set", LISTENING_LIMIT, seconds["listening"], "s"),
        figures.at_most(f"start: reading {SETS[1]:,} sets", READING_LIMIT, reading, "s"),
    ]
    return Part([Table("Start", NOTE.rstrip(), ("start", "processor time, ms"), rows)], targets)


def _round(files: dict[int, Path]) -> dict[str, float]:
    found = {"--version": _to_the_end("--version")}
    for sets, file in files.items():
        name = f"--config.check, {sets:,} set{'' if sets == 1 else 's'}"
        found[name] = _to_the_end("--config.check", f"--config.file={file}")
    found["listening"] = _until_listening(files[SETS[0]])
    return found


def _command(*flags: str) -> Sequence[str]:
    return [sys.executable, "-m", "exporter", *flags]


def _to_the_end(*flags: str) -> float:
    with subprocess.Popen(  # noqa: S603 - the exporter's own command
        _command(*flags), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        if process.stderr is not None:
            process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{flags} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def _until_listening(file: Path) -> float:
    flags = (f"--config.file={file}", "--web.listen-address=127.0.0.1:0")
    with running("exporter", _command(*flags)) as process:
        process.wait_for(r"msg=(listening)")
        return process.processor_seconds()


def _configuration(folder: Path, sets: int) -> Path:
    """A configuration of so many sets, which asks nobody: its endpoint is a closed port."""
    subscription = "00000000-0000-0000-0000-{:012d}"
    entries = "".join(
        f"  - subscription_id: {subscription.format(number // 2500)}\n"
        f"    resource_group: rg-{number % 50}\n"
        f"    name: set-{number}\n"
        f"    labels: {{team: team-{number % 7}}}\n"
        for number in range(sets)
    )
    file = folder / f"{sets}.yaml"
    file.write_text(
        "azure:\n  cloud: custom\n  endpoint: http://127.0.0.1:1\n  audience: http://127.0.0.1:1\n"
        f"  credential: {{type: managed_identity}}\nscale_sets:\n{entries}",
        encoding="utf-8",
    )
    return file
