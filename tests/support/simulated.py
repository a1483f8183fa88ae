"""The simulated Azure as a process of its own, and a configuration that points to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.answers import ROOT, SUBSCRIPTION

TOKEN = "a-token-that-must-not-show"


@contextmanager
def simulated_azure(folder: Path, fleet: str) -> Iterator[str]:
    """Start it with a fleet; the value is its address. It ends with the context."""
    (folder / "fleet.yaml").write_text(fleet)
    (folder / "token").write_text(TOKEN)
    command = [
        sys.executable,
        "-m",
        "exporter.simulator",
        f"--fleet.file={folder}/fleet.yaml",
        f"--token-file={folder}/token",
        "--web.listen-address=127.0.0.1:0",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
            assert process.wait(timeout=5) == 0


def configured(folder: Path, url: str, *names: str, polling: str = "interval: 1s") -> str:
    """Write a configuration for these sets of `rg-web`; the value is the exporter's flag."""
    sets = "".join(
        f"  - {{subscription_id: {SUBSCRIPTION}, resource_group: rg-web, name: {name},"
        ' labels: {city: "Zürich"}}\n'
        for name in names
    )
    (folder / "config.yaml").write_text(
        f"azure:\n  cloud: custom\n  endpoint: {url}\n  audience: {url}\n"
        f"  credential: {{type: static, token_file: {folder}/token}}\n"
        f"polling: {{{polling}}}\nscale_sets:\n{sets}"
    )
    return f"--config.file={folder}/config.yaml"
