"""The lock files hold all that pyproject.toml asks for: pinned, hashed, and the same everywhere."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from itertools import product
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from support.answers import ROOT
from support.repository import texts

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME = PYPROJECT["project"]["dependencies"]
TEST = PYPROJECT["project"]["optional-dependencies"]["test"]
BENCH = PYPROJECT["project"]["optional-dependencies"]["bench"]
BUILD = PYPROJECT["build-system"]["requires"]

LOCKS = {
    "requirements.lock": RUNTIME,
    "requirements-test.lock": RUNTIME + TEST,
    "requirements-bench.lock": RUNTIME + BENCH,
    "requirements-build.lock": BUILD,
}
by_lock = pytest.mark.parametrize(("name", "requirements"), LOCKS.items(), ids=LOCKS)

NOT_FOR_TESTS = {
    ("azure-mgmt-compute", "39.0.0"): [
        "isodate>=0.6.1",
        "azure-mgmt-core>=1.6.0",
        "typing-extensions>=4.6.0",
    ],
    ("azure-mgmt-core", "1.6.0"): ["azure-core>=1.32.0"],
    ("isodate", "0.7.2"): [],
    ("colorama", "0.4.6"): [],
}
"""What the locked packages ask for that the tests do not install: those of the benches and of
Windows. Copied from `Requires-Dist` of their wheels."""

PYTHONS = ["3.11.0", "3.12.0", "3.13.0", "3.14.0"]
SYSTEMS = [("linux", "Linux", "posix"), ("darwin", "Darwin", "posix"), ("win32", "Windows", "nt")]
MACHINES = ["x86_64", "aarch64"]
INTERPRETERS = [("CPython", "cpython"), ("PyPy", "pypy")]
ENVIRONMENTS = [
    {
        "python_version": version.rpartition(".")[0],
        "python_full_version": version,
        "implementation_version": version,
        "sys_platform": platform,
        "platform_system": system,
        "os_name": family,
        "platform_machine": machine,
        "platform_python_implementation": interpreter,
        "implementation_name": name,
        "platform_release": "",
        "platform_version": "",
    }
    for version, (platform, system, family), machine, (interpreter, name) in product(
        PYTHONS, SYSTEMS, MACHINES, INTERPRETERS
    )
]
"""Where markers are tried."""


@dataclass(frozen=True)
class Pin:
    version: Version
    marker: Marker | None

    def holds_in(self, environment: dict[str, str]) -> bool:
        return self.marker is None or self.marker.evaluate(environment)


def locked(name: str) -> dict[NormalizedName, Pin]:
    """What a lock file pins; a line that is neither a pin nor its hash is refused."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    pins: dict[NormalizedName, Pin] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pin = re.fullmatch(
            r"([\w.-]+)==(\S+)(?: ; ([^#]+?))?((?: +--hash=sha256:[0-9a-f]{64})+) *", line
        )
        assert pin is not None, f"{name}: {line}"
        marker = Marker(pin[3]) if pin[3] else None
        pins[canonicalize_name(pin[1])] = Pin(Version(pin[2]), marker)
    return pins


@cache
def asked_by(package: NormalizedName, version: Version) -> list[Requirement]:
    """What that version of a package requires, its extras' requirements too."""
    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        assert (package, str(version)) in NOT_FOR_TESTS, (
            f"{package} {version} is not installed: run `make unit`, or where the tests do not "
            "install it, copy what it requires from its wheel into NOT_FOR_TESTS"
        )
        return [Requirement(text) for text in NOT_FOR_TESTS[package, str(version)]]
    installed = Version(distribution.version)
    assert installed == version, f"{package} {installed} is installed, not {version}: `make unit`"
    return [Requirement(text) for text in distribution.requires or ()]


def missing_from(
    pins: dict[NormalizedName, Pin], roots: list[str], environment: dict[str, str]
) -> Iterator[str]:
    """What is needed in an environment, directly or through others, and not locked for it."""
    waiting = [("pyproject.toml", Requirement(text)) for text in roots]
    done = set()
    while waiting:
        by, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        pin = pins.get(name)
        if pin is None or not pin.holds_in(environment) or pin.version not in requirement.specifier:
            yield f"{requirement} of {by}"
            continue
        for extra in {"", *requirement.extras}:
            if (name, extra) in done:
                continue
            done.add((name, extra))
            chosen = {**environment, "extra": extra}
            waiting += [
                (name, one)
                for one in asked_by(name, pin.version)
                if one.marker is None or one.marker.evaluate(chosen)
            ]


@by_lock
def test_a_lock_holds_every_requirement_of_every_package_in_every_environment(
    name: str, requirements: list[str]
) -> None:
    """So that it is installed with --no-deps: extras, markers and versions are looked at."""
    pins = locked(name)
    missing = {
        text
        for environment in ENVIRONMENTS
        for text in missing_from(pins, requirements, environment)
    }
    assert not missing, f"{name} is incomplete: run `make lock`"


@by_lock
def test_what_a_lock_lacks_is_found(name: str, requirements: list[str]) -> None:
    """Each package that anything needs is missed when its line is taken out."""
    pins = locked(name)
    for package in pins:
        without = {other: pin for other, pin in pins.items() if other != package}
        assert any(
            text
            for environment in ENVIRONMENTS
            for text in missing_from(without, requirements, environment)
        ), f"nothing in {name} needs {package}"


@pytest.mark.parametrize("package", [package for package, _ in NOT_FOR_TESTS])
def test_what_is_noted_of_a_package_is_what_it_requires(package: str) -> None:
    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        pins = [pins for name in LOCKS if canonicalize_name(package) in (pins := locked(name))]
        assert pins, f"{package} is in no lock any more"
        return
    noted = NOT_FOR_TESTS[package, distribution.version]
    asked = {
        str(one)
        for one in map(Requirement, distribution.requires or ())
        if one.marker is None or one.marker.evaluate({"extra": ""})
    }
    assert {str(Requirement(text)) for text in noted} == asked


@pytest.mark.parametrize("name", ["requirements-test.lock", "requirements-bench.lock"])
def test_tests_and_benches_run_with_the_versions_that_are_shipped(name: str) -> None:
    used = locked(name)
    for package, pin in locked("requirements.lock").items():
        assert used[package] == pin, package


INSTALL = re.compile(
    r"""\bpip[\d.]*["']?(?:[\s,"']+-\S+(?:[ =][^\s-]\S*)?)*[\s,"']+"""
    r"""(?:install|wheel|download|sync)\b["',]*\s[^\n;&|`]*"""
)
"""A command of pip, of uv's pip too, with all its arguments on one line."""


def installs(text: str) -> list[str]:
    """The commands in a script, a document or a program that install something with pip."""
    return [hit.group() for hit in INSTALL.finditer(re.sub(r"\\\n\s*", " ", text))]


def test_no_command_anywhere_lets_pip_resolve() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {command}"
        for path, text in texts().items()
        if path.suffix not in {".lock", ".json"} and path.name != "test_locks.py"
        for command in installs(text)
        if "--no-deps" not in command
    }
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "\t@$(BIN)/pip install -qq --require-hashes -r requirements.lock",
        "RUN python3 -m venv x \\\n    && x/bin/pip --python y install \\\n   -r requirements.lock",
        "`pip install -r requirements-bench.lock`",
        'run([python, "-m", "pip", "install", "-r", "requirements.lock"])',
        "python3 -m pip download -r requirements.lock",
        "uv pip sync requirements.lock",
        "pip3.11 wheel .",
        '"$directory/bin/pip" -q --retries 3 install "${locks[@]}"',
    ],
)
def test_an_install_without_no_deps_is_found_however_it_is_written(text: str) -> None:
    (command,) = installs(text)
    assert "--no-deps" not in command
