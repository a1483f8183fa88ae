"""The files of the repository, as git knows them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from support.answers import ROOT


def files() -> list[Path]:
    """What git holds or would take in. Without git or a checkout the test is skipped."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def texts() -> dict[Path, str]:
    """The text of each file; bytes that are none are replaced."""
    return {path: path.read_text(encoding="utf-8", errors="replace") for path in files()}
