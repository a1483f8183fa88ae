"""Starts the peers, each a process that serves a saved page's series at `/metrics`."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.process import ROOT, MeasuredProcess, free_port, running

GO_SOURCES = Path("/usr/share/gocode")
LOAD_SECONDS = 1200.0

NGINX_CONFIGURATION = """\
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    gzip_static on;
    default_type "text/plain; version=0.0.4; charset=utf-8";
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {root};
    }}
}}
"""


class PeerMissingError(Exception):
    """A peer that cannot be measured here; the text says why."""


@dataclass(frozen=True)
class Page:
    """A page of the exporter, saved as it was served.

    Attributes:
        text: the file with the page's text, named `metrics`.
        packed: the same as gzip, byte for byte as served, named `metrics.gz`.
    """

    text: Path
    packed: Path


@dataclass(frozen=True)
class Peer:
    """A peer that serves.

    Attributes:
        url: its page.
        empty: resident bytes before it had any series; 0 where that was not asked for.
    """

    process: MeasuredProcess
    url: str
    empty: int = 0


Starter = Callable[[Page], AbstractContextManager[Peer]]


@contextmanager
def prometheus_client(page: Page) -> Iterator[Peer]:
    """Python's prometheus_client: a gauge per family, and its own server with its own gzip."""
    command = [sys.executable, "-m", "bench.peers.gauges", str(page.text)]
    with running("prometheus_client", command) as process:
        yield _loaded(process)


@contextmanager
def promhttp(page: Page) -> Iterator[Peer]:
    """Go's client_golang: a gauge vector per family, and promhttp with its own gzip.

    Raises:
        PeerMissingError: without Go or its package.
    """
    program = _built()
    with running("promhttp", [str(program), str(page.text)]) as process:
        yield _loaded(process)


@contextmanager
def nginx(page: Page) -> Iterator[Peer]:
    """Nginx: the saved files, the one with gzip as it is.

    Raises:
        PeerMissingError: without nginx.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise PeerMissingError("nginx is not installed")
    port = free_port()
    folder = page.text.parent / "nginx"
    folder.mkdir(exist_ok=True)
    file = folder / "nginx.conf"
    file.write_text(
        NGINX_CONFIGURATION.format(folder=folder, port=port, root=page.text.parent), "utf-8"
    )
    # Started by root, a worker process would take another user's rights and not see the files;
    # with `master_process off` there is one process, of this user.
    with running("nginx", [program, "-e", "stderr", "-p", str(folder), "-c", str(file)]) as process:
        _wait_for_port(process, port)
        yield Peer(process, f"http://127.0.0.1:{port}/metrics")


def _loaded(process: MeasuredProcess) -> Peer:
    process.wait_for("empty: (.*)")
    empty = process.memory().resident
    process.tell("load")
    url = process.wait_for(r"listening on (\S+)", LOAD_SECONDS)
    return Peer(process, f"{url}/metrics", empty)


@functools.cache
def _built() -> Path:
    go = shutil.which("go")
    if go is None:
        raise PeerMissingError("Go is not installed")
    if not (GO_SOURCES / "src/github.com/prometheus/client_golang").is_dir():
        raise PeerMissingError("golang-github-prometheus-client-golang-dev is not installed")
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": str(GO_SOURCES),
        "GOFLAGS": "",
        "GOCACHE": os.environ.get("GOCACHE") or str(Path.home() / ".cache/go-build"),
    }
    folder = Path(tempfile.mkdtemp(prefix="bench-promhttp-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = folder / "promhttp"
    ended = subprocess.run(  # noqa: S603 - the found compiler on a file of this package
        [go, "build", "-p", "1", "-o", str(program), "main.go"],
        cwd=ROOT / "bench/peers/promhttp",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise PeerMissingError(f"go build failed: {ended.stderr.strip()[-300:]}")
    return program


def _wait_for_port(process: MeasuredProcess, port: int) -> None:
    for _ in range(200):
        if process.process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise process.failed("does not listen")
