"""Draw the committed dashboards with Grafana's own panels: `make dashboard-pictures`.

The demo runs for a while, the real Prometheus scrapes it, and a headless Chromium draws what
Prometheus answers. With PROMETHEUS=URL a Prometheus that already scrapes the demo is asked; it has
to run with `--web.cors.origin=.*` and the rules in `grafana/rules`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from support.answers import ROOT
from support.dashboards import FOLDER, NAMES, load
from support.process import running
from support.prometheus import Prometheus, Target, prometheus, tool
from support.rules import RULE_FILES

HERE = Path(__file__).parent
PICTURES = ROOT / "docs" / "images"
WIDTH = 1600
SCRAPE_SECONDS = 15
POINTS = 300
SHOWN_SET = ("rg-build", "build-agents")
MOST_CHANGED = (
    "topk(1, sum by (instance_id) (changes(azure_vmss_instance_power_state"
    '{{scale_set="{name}"}}[{seconds}s])) and on (instance_id) '
    'azure_vmss_instance_info{{scale_set="{name}"}})'
)


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder on loopback."""
    site = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{site.server_address[1]}"
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


def build() -> None:
    """The page, from Grafana's packages and the committed dashboards."""
    npm = tool("npm")
    if not (HERE / "node_modules").exists():
        subprocess.run([npm, "ci", "--legacy-peer-deps", "--ignore-scripts"], cwd=HERE, check=True)
    subprocess.run([npm, "exec", "vite", "build"], cwd=HERE, check=True, capture_output=True)
    copies = HERE / "dist" / "dashboards"
    copies.mkdir(exist_ok=True)
    for name in NAMES:
        (copies / f"{name}.json").write_bytes((FOLDER / f"{name}.json").read_bytes())


def values(server: Prometheus, name: str, seconds: int) -> dict[str, str]:
    """The values of the dashboard's variables."""
    found = {"job": "azure-vmss", "replica": ".*"}
    if name in {"fleet", "exporter"}:
        return found | dict.fromkeys(("subscription", "resource_group", "scale_set"), ".*")
    group, scale_set = SHOWN_SET
    of_set = f'azure_vmss_up{{resource_group="{group}",scale_set="{scale_set}"}}'
    known = server.query(f"group by (subscription_id) ({of_set})")
    changed = server.query(MOST_CHANGED.format(name=scale_set, seconds=seconds))
    return found | {
        "subscription": known[0]["metric"]["subscription_id"],
        "resource_group": group,
        "scale_set": scale_set,
        "instance": changed[0]["metric"]["instance_id"],
    }


def height(dashboard: dict[str, Any]) -> int:
    """How high the page is; the same numbers as in `src/main.jsx`."""
    rows: int = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in dashboard["panels"])
    return 44 + rows * 38 + 8


def draw(server: Prometheus, site: str, name: str, seconds: int) -> None:
    """One dashboard as a picture."""
    end = int(time.time()) // SCRAPE_SECONDS * SCRAPE_SECONDS
    step = max(SCRAPE_SECONDS, seconds // POINTS // SCRAPE_SECONDS * SCRAPE_SECONDS)
    question = {
        "dashboard": name,
        "prometheus": server.url,
        "start": end - seconds // step * step,
        "end": end,
        "step": step,
        "width": WIDTH,
        **values(server, name, seconds),
    }
    picture = PICTURES / f"dashboard-{name}.png"
    drawn = subprocess.run(
        [
            tool("chromium"),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--enable-logging=stderr",
            f"--window-size={WIDTH},{height(load(name))}",
            "--virtual-time-budget=60000",
            f"--screenshot={picture}",
            f"{site}/index.html?{urlencode(question)}",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    said = [line for line in drawn.stderr.splitlines() if "CONSOLE" in line]
    if any("not drawn" in line or "Uncaught" in line for line in said):
        sys.exit("\n".join(said))
    print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size // 1024} KiB")  # noqa: T201  # what was made


def main() -> None:
    """Draw all dashboards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=30, help="how long the demo is watched")
    options = parser.parse_args()
    seconds = options.minutes * 60
    build()
    PICTURES.mkdir(exist_ok=True)
    with ExitStack() as stack:
        site = stack.enter_context(served(HERE / "dist"))
        if url := os.environ.get("PROMETHEUS"):
            server = Prometheus(url, Path(os.devnull))
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            demo = stack.enter_context(running("--demo"))
            target = Target("azure-vmss", demo.url)
            flags = ("--web.cors.origin=.*",)
            rules = {"rule_files": [str(path) for path in RULE_FILES]}
            server = stack.enter_context(
                prometheus(folder, [target], *flags, interval=SCRAPE_SECONDS, more=rules)
            )
            print(f"Watching the demo for {options.minutes} minutes ...")  # noqa: T201  # it takes long
            time.sleep(seconds)
        for name in NAMES:
            draw(server, site, name, seconds)


if __name__ == "__main__":
    main()
