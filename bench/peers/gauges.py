"""A peer: the same series as prometheus_client's gauges, served by its own server.

`python -m bench.peers.gauges PAGE` says `empty`, waits for a line on its input, fills the gauges
from the saved page and says `listening on URL`.
"""

from __future__ import annotations

import gc
import re
import sys
import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, start_http_server

_FAMILY = re.compile(r"# (HELP|TYPE) (\S+) (.*)\n")
_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)\n")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")


def load(page: Path, registry: CollectorRegistry) -> int:
    """Fill one gauge per family with the saved page's samples; the number of samples."""
    helps: dict[str, str] = {}
    gauges: dict[str, Gauge] = {}
    count = 0
    with page.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("azure_vmss_") or line.startswith("azure_vmss_exporter_"):
                if (meta := _FAMILY.fullmatch(line)) and meta[1] == "HELP":
                    helps[meta[2]] = meta[3]
                continue
            sample = _SAMPLE.fullmatch(line)
            if sample is None:
                raise ValueError(f"no sample: {line!r}")
            name, text, value = sample.groups("")
            labels = {key: _plain(quoted) for key, quoted in _LABEL.findall(text)}
            gauge = gauges.get(name)
            if gauge is None:
                gauge = Gauge(name, helps.get(name, name), tuple(labels), registry=registry)
                gauges[name] = gauge
            # By place, as quick exporters do: by name would sort and look up each time.
            (gauge.labels(*labels.values()) if labels else gauge).set(float(value))
            count += 1
    return count


def _plain(quoted: str) -> str:
    if "\\" not in quoted:
        return quoted
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], quoted)


def main() -> None:
    """Serve until the process is ended."""
    registry = CollectorRegistry()
    print("empty: true", flush=True)  # noqa: T201 - for the one who started it
    sys.stdin.readline()
    gc.disable()  # only to be ready sooner; it is scraped with collections, as any process is
    load(Path(sys.argv[1]), registry)
    gc.enable()
    server, _ = start_http_server(0, "127.0.0.1", registry)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - same
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
