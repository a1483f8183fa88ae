"""Output that nobody reads, or that cannot be written."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.answers import ROOT, SUBSCRIPTION, samples
from support.http import fetch
from support.simulated import configured, simulated_azure
from support.waiting import eventually

pytestmark = pytest.mark.process

FLEET = f"""\
subscription_id: {SUBSCRIPTION}
limits: {{enabled: false}}
scale_sets:
  - {{name: web, resource_group: rg-web, size: 3}}
"""
FETCHED = "azure_vmss_last_success_timestamp_seconds"
LOST = "azure_vmss_exporter_log_lines_lost_total"


def value(url: str, name: str) -> float:
    (found,) = samples(fetch(f"{url}/metrics?name[]={name}")).values()
    return found


def fill(pipe: int) -> None:
    """Leave no room in a pipe whose other users go on blocking."""
    writer = os.open(f"/proc/self/fd/{pipe}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(writer, b"x")
    except BlockingIOError:
        os.close(writer)


@contextmanager
def started(flag: str, stderr: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "exporter", "--web.listen-address=127.0.0.1:0", flag]
    with subprocess.Popen(
        [*command, "--log.level=debug"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=stderr
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_log_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    with simulated_azure(tmp_path, FLEET) as url, os.fdopen(read_end, "rb") as log:
        flag = configured(tmp_path, url, "web", polling="interval: 200ms, timeout: 5s")
        with started(flag, write_end) as process:
            address = next(
                found[1].decode()
                for line in log
                if (found := re.search(rb"listening.*?(http://[^\s\"]+)", line))
            )
            fill(write_end)
            os.close(write_end)
            eventually(lambda: value(address, "azure_vmss_up") or None, seconds=60)
            fetched = value(address, FETCHED)
            eventually(lambda: value(address, FETCHED) > fetched + 2 or None, seconds=60)
            assert "healthy" in fetch(address + "/-/healthy")
            assert value(address, LOST) == 0, "the queue has room for them"
            process.terminate()
            assert process.wait(timeout=5) == 0


def test_what_was_logged_before_the_end_is_written(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    with simulated_azure(tmp_path, FLEET) as url, os.fdopen(read_end, "rb") as log:
        flag = configured(tmp_path, url, "web", polling="interval: 200ms, timeout: 5s")
        with started(flag, write_end) as process:
            os.close(write_end)
            assert any(b"listening" in line for line in log)
            process.terminate()
            assert process.wait(timeout=5) == 0
            assert b"stopping" in log.read()


def once(flag: str, stdout: int | None) -> tuple[int, str]:
    """The exit code and what is said on stderr of one poll of a fleet; None closes stdout."""
    command = [sys.executable, "-m", "exporter", "--once", "--log.level=warn", flag]
    if stdout is None:
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    ended = subprocess.run(
        command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    return ended.returncode, ended.stderr


def test_once_into_a_pipe_that_is_closed_still_tells_what_failed(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with simulated_azure(tmp_path, FLEET) as url:
        assert once(configured(tmp_path, url, "web"), write_end) == (0, "")
        code, said = once(configured(tmp_path, url, "web", "none"), write_end)
    os.close(write_end)
    assert code == 1
    (line,) = said.splitlines()
    assert "/rg-web/none: " in line


def test_once_that_cannot_print_says_so(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with simulated_azure(tmp_path, FLEET) as url:
        flag = configured(tmp_path, url, "web")
        assert once(flag, full) == (1, "stdout: No space left on device\n")
        assert once(flag, None) == (1, "stdout: it is closed; nothing can be printed\n")
    os.close(full)


@pytest.mark.parametrize(("text", "code"), [("", 0), ("unknown: 1\n", 2)])
@pytest.mark.parametrize("ending", [">/dev/full 2>/dev/full", ">&- 2>&-", "| true"])
def test_the_exit_code_of_config_check_tells_all_where_nothing_can_be_printed(
    tmp_path: Path, text: str, code: int, ending: str
) -> None:
    flag = configured(tmp_path, "http://127.0.0.1:1", "web")
    with (tmp_path / "config.yaml").open("a") as file:
        file.write(text)
    check = f"{sys.executable} -m exporter --config.check {flag} {ending}; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", check], cwd=ROOT, capture_output=True, check=False)
    assert ended.returncode == code
    assert b"Traceback" not in ended.stderr
