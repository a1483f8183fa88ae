"""The container image, for real: built, started as hardened as users start it, scraped, stopped.

Docker is not needed, but root on Debian is. The base image is a stand-in of Debian's own Python
under the name that the Dockerfile asks for, since no registry may be at hand.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

import exporter
from support.answers import ROOT, samples

TOOLS = ("buildah", "podman", "runc", "conmon", "debootstrap")
BASE = "docker.io/library/python:3.13-slim"
IMAGE = "localhost/azure-vmss-exporter:test"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "azure-vmss-exporter"
START_SECONDS = 60
STOP_SECONDS = 5

pytestmark = pytest.mark.image


@dataclass(frozen=True)
class Engine:
    """buildah and podman on a store of their own, which goes with the folder."""

    folder: Path

    def command(self, tool: str, *arguments: str) -> list[str]:
        store = [f"--root={self.folder}/store", f"--runroot={self.folder}/run"]
        if tool == "podman":
            store += [f"--tmpdir={self.folder}/tmp", "--runtime=runc", "--cgroup-manager=cgroupfs"]
        return [tool, *store, "--storage-driver=vfs", *arguments]

    def run(self, tool: str, *arguments: str) -> str:
        return output_of(self.command(tool, *arguments))

    def start_command(self, *arguments: str) -> list[str]:
        """A container as users harden it; crun and the default limits need more than CI gives."""
        hardening = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL"]
        hardening += ["--security-opt=no-new-privileges"]
        surroundings = ["--network=host", "--no-healthcheck", "--ulimit=nofile=4096:4096"]
        surroundings += ["--ulimit=nproc=4096:4096"]
        return self.command("podman", "run", "--rm", *hardening, *surroundings, *arguments)


def output_of(command: Sequence[str], *, seconds: float = 900) -> str:
    """What the command prints; where it fails, all it said is in the failure."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, (
        f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    )
    return done.stdout


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (make test-slow installs them)")
    if os.geteuid() != 0:
        pytest.skip("making the base image and running without a daemon needs root")
    engine = Engine(tmp_path_factory.mktemp("containers"))
    yield engine
    engine.run("podman", "rm", "--all", "--force", "--time=0")
    engine.run("buildah", "rm", "--all")
    engine.run("podman", "rmi", "--all", "--force")
    shutil.rmtree(engine.folder)


@pytest.fixture(scope="module")
def base_archive() -> Path:
    """Debian with its Python, made once and kept outside the checkout."""
    archive = CACHE / "bookworm-python.tar"
    if archive.exists():
        return archive
    CACHE.mkdir(parents=True, exist_ok=True)
    system = CACHE / f"bookworm-python.{os.getpid()}"
    unfinished = system.with_suffix(".unfinished")
    packages = "--include=python3,python3-venv,ca-certificates"
    try:
        output_of(["debootstrap", "--variant=minbase", packages, "bookworm", str(system)])
        output_of(["tar", "--create", f"--file={unfinished}", f"--directory={system}", "."])
        unfinished.rename(archive)
    finally:
        shutil.rmtree(system, ignore_errors=True)
        unfinished.unlink(missing_ok=True)
    return archive


@pytest.fixture(scope="module")
def image(engine: Engine, base_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Dockerfile's image on the stand-in base."""
    container = engine.run("buildah", "from", "scratch").strip()
    engine.run("buildah", "add", "--quiet", container, str(base_archive), "/")
    engine.run("buildah", "commit", "--quiet", "--rm", container, BASE)
    engine.run(
        "buildah",
        "bud",
        "--isolation=chroot",
        "--network=host",
        "--pull-never",
        "--format=docker",
        f"--build-arg=VERSION={exporter.__version__}",
        *pip_mounts(tmp_path_factory.mktemp("pip")),
        f"--tag={IMAGE}",
        str(ROOT),
    )
    return IMAGE


def pip_mounts(folder: Path) -> Iterator[str]:
    """Show this machine's pip settings to the build. As mounts they never enter the image."""
    settings: dict[str, str] = {}
    for line in output_of([sys.executable, "-m", "pip", "config", "list"]).splitlines():
        name, _, value = line.partition("=")
        # The environment comes first in the list, and wins.
        settings.setdefault(name.rpartition(".")[2], " ".join(ast.literal_eval(value).split()))
    file = folder / "pip.conf"
    file.write_text("[global]\n" + "".join(f"{k} = {v}\n" for k, v in settings.items()))
    yield f"--volume={file}:/etc/pip.conf:ro"
    words = {word for value in settings.values() for word in value.split()}
    paths = {Path(word) for word in words if word.startswith("/")}
    # A local index links to files beside it.
    paths |= {Path(word.removeprefix("file://")).parent for word in words if "file:///" in word}
    for path in sorted(paths):
        if path.exists():
            yield f"--volume={path}:{path}:ro"


@pytest.fixture
def demo(engine: Engine, image: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The image's demo, ready, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listen = f"--web.listen-address=127.0.0.1:{port}"
    command = engine.start_command("--name=demo", image, "--demo", listen)
    log = (engine.folder / "demo.log").open("w+", encoding="utf-8")
    with log, subprocess.Popen(command, stdout=log, stderr=log, text=True) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_ready(process, address, Path(log.name))
            yield process, address
        finally:
            if process.poll() is None:
                engine.run("podman", "kill", "--signal=KILL", "demo")


def wait_until_ready(process: subprocess.Popen[str], address: str, log: Path) -> None:
    deadline = monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/-/ready", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError) as error:
            said = f"{error}\n{log.read_text(encoding='utf-8')}"
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            assert monotonic() < deadline, f"not ready in {START_SECONDS} s: {said}"
        else:
            pytest.fail(f"ended with {process.returncode}: {said}")


def test_the_hardened_container_serves_the_demo_and_stops_at_sigterm(
    engine: Engine, demo: tuple[subprocess.Popen[str], str]
) -> None:
    process, address = demo
    with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
        found = samples(answer.read().decode())
    ups = [value for (name, _), value in found.items() if name == "azure_vmss_up"]
    assert 1 in ups, "no scale set is up"

    process_id = engine.run("podman", "inspect", "--format={{.State.Pid}}", "demo").strip()
    status = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    assert re.search(r"^Uid:(\s+65532){4}$", status, re.MULTILINE), status
    assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE), status

    engine.run("podman", "kill", "--signal=TERM", "demo")
    assert process.wait(timeout=STOP_SECONDS) == 0


def test_the_image_states_its_version(engine: Engine, image: str) -> None:
    said = output_of(engine.start_command(image, "--version"), seconds=60)
    assert said == f"azure-vmss-exporter {exporter.__version__}\n"
    label = '{{index .Labels "org.opencontainers.image.version"}}'
    assert engine.run("podman", "image", "inspect", f"--format={label}", image).strip() == (
        exporter.__version__
    )


def test_the_image_holds_neither_pip_settings_nor_build_tools(engine: Engine, image: str) -> None:
    container = engine.run("buildah", "from", "--pull-never", image).strip()
    root = Path(engine.run("buildah", "mount", container).strip())
    try:
        assert not (root / "etc/pip.conf").exists()
        assert "PIP_" not in engine.run("podman", "image", "inspect", image)
        packages = next((root / "opt/venv/lib").glob("python3.*")) / "site-packages"
        installed = {path.name.split("-")[0] for path in packages.glob("*.dist-info")}
        assert "azure_vmss_exporter" in installed
        assert not installed & {"pip", "setuptools", "pytest"}
        assert list(packages.glob("exporter/__pycache__/daemon.*.pyc")), "not compiled"
    finally:
        engine.run("buildah", "rm", container)
