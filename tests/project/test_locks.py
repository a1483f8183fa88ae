"""The lock files hold what pyproject.toml asks for: pinned, hashed, and the same everywhere."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from support.answers import ROOT

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME = PYPROJECT["project"]["dependencies"]
TEST = PYPROJECT["project"]["optional-dependencies"]["test"]
BENCH = PYPROJECT["project"]["optional-dependencies"]["bench"]
BUILD = PYPROJECT["build-system"]["requires"]


def locked(name: str) -> dict[str, Version]:
    """The versions that a lock file pins; a line that is neither a pin nor its hash is refused."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    pins: dict[str, Version] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pin = re.fullmatch(
            r"([\w.-]+)==(\S+)( ; [^#]+?)?((?: +--hash=sha256:[0-9a-f]{64})+) *", line
        )
        assert pin is not None, f"{name}: {line}"
        pins[canonicalize_name(pin[1])] = Version(pin[2])
    return pins


@pytest.mark.parametrize(
    ("name", "requirements"),
    [
        ("requirements.lock", RUNTIME),
        ("requirements-test.lock", RUNTIME + TEST),
        ("requirements-bench.lock", RUNTIME + BENCH),
        ("requirements-build.lock", BUILD),
    ],
)
def test_a_lock_covers_what_pyproject_asks_for(name: str, requirements: list[str]) -> None:
    pins = locked(name)
    for requirement in map(Requirement, requirements):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is missing: run `make lock`"
        assert version in requirement.specifier, f"{requirement} is not {version}: run `make lock`"


@pytest.mark.parametrize("name", ["requirements-test.lock", "requirements-bench.lock"])
def test_tests_and_benches_run_with_the_versions_that_are_shipped(name: str) -> None:
    used = locked(name)
    for package, version in locked("requirements.lock").items():
        assert used[package] == version, package
