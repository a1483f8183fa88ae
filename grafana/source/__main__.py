"""`python -m grafana.source`: write the dashboards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.source import exporter, fleet, instance, scale_set

FOLDER = Path(__file__).parents[1] / "dashboards"
DASHBOARDS: dict[str, Callable[[], dict[str, Any]]] = {
    "fleet.json": fleet.dashboard,
    "scale-set.json": scale_set.dashboard,
    "instance.json": instance.dashboard,
    "exporter.json": exporter.dashboard,
}


def files() -> Iterator[tuple[str, str]]:
    """The name and the text of every file."""
    for name, make in DASHBOARDS.items():
        yield name, json.dumps(make(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def main() -> None:
    """Write every dashboard to its file."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in files():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
