"""The machine and the versions that a report is about."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from importlib import metadata
from pathlib import Path

MISSING = "not installed"


def facts() -> list[tuple[str, str]]:
    """The date, the machine and the versions of everything measured, as names and values."""
    return [
        ("date", time.strftime("%Y-%m-%d")),
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("memory", f"{_memory_bytes() / 2**30:.1f} GiB"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        *((name, _python_package(name)) for name in ("prometheus_client", "isal", "msgspec")),
        ("azure-mgmt-compute", _python_package("azure-mgmt-compute")),
        ("Go", go_version() or MISSING),
        ("client_golang", client_golang_version() or MISSING),
        ("nginx", nginx_version() or MISSING),
    ]


def go_version() -> str | None:
    """As `go1.19.8`; `None` where there is no Go."""
    return _said(["go", "version"], r"go version (\S+)")


def client_golang_version() -> str | None:
    """The version of Debian's package; `None` where it is not installed."""
    return _said(
        ["dpkg-query", "-W", "golang-github-prometheus-client-golang-dev"], r"\s(\d\S*)\s*$"
    )


def nginx_version() -> str | None:
    """As `1.22.1`; `None` where there is no nginx."""
    return _said(["nginx", "-v"], r"nginx/(\S+)")


def _said(command: list[str], pattern: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - commands of this file
    found = re.search(pattern, ended.stdout + ended.stderr)
    return found[1] if found and ended.returncode == 0 else None


def _python_package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return MISSING


def _processor() -> str:
    found = re.search(r"(?m)^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8"))
    return found[1] if found else platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
