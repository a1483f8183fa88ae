"""Wheel and sdist, built as a release builds them, hold what they should and run by themselves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

import exporter
from support.answers import ROOT
from support.repository import files

pytestmark = pytest.mark.xdist_group("packages")

DEPENDENCIES = Path(sysconfig.get_path("purelib"))
"""Where the locked dependencies are, and the locked tool that builds: nothing is fetched."""
PLAIN = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV_"))}
BUILD = "import sys, setuptools.build_meta as tool; getattr(tool, sys.argv[1])(sys.argv[2])"


def run(*command: str | Path, folder: Path) -> str:
    """What a command prints, run in a folder that knows nothing of the checkout."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**PLAIN, "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000000"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Packages:
    sdist: Path
    wheel: Path
    unpacked: Path
    """The sdist, unpacked; the wheel was built from it."""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    folder = tmp_path_factory.mktemp("packages")
    source = folder / "source"
    for path in files():
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    run(sys.executable, "-c", BUILD, "build_sdist", folder, folder=source)
    (sdist,) = folder.glob("*.tar.gz")
    # By tar: Python 3.11.2, Debian's, cannot extract with a filter, and 3.12 warns without one.
    run("tar", "--extract", "--file", sdist, folder=folder)
    (unpacked,) = folder.glob("azure_vmss_exporter-*/")
    run(sys.executable, "-c", BUILD, "build_wheel", folder, folder=unpacked)
    (wheel,) = folder.glob("*.whl")
    return Packages(sdist, wheel, unpacked)


def committed(*folders: str) -> Iterator[str]:
    """The files below these folders that git holds or would take in."""
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(folders):
            yield name


def test_the_sdist_holds_what_a_user_of_pip_needs(packages: Packages) -> None:
    wanted = {
        *("README.md", "LICENSE", "CHANGELOG.md", "config.example.yaml", "requirements.lock"),
        *committed("docs/", "exporter/"),
        *committed("grafana/rules/", "grafana/dashboards/", "grafana/provisioning/"),
    }
    assert not {name for name in wanted if not (packages.unpacked / name).is_file()}


def test_every_link_between_documents_of_the_sdist_leads_to_a_file_in_it(
    packages: Packages,
) -> None:
    pages = [packages.unpacked / "README.md", *(packages.unpacked / "docs").rglob("*.md")]
    broken = {
        f"{page.relative_to(packages.unpacked)}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    }
    assert not broken


def test_the_packages_hold_nothing_of_the_tests_and_the_tools_around_them(
    packages: Packages,
) -> None:
    with tarfile.open(packages.sdist) as archive:
        names = {PurePosixPath(*PurePosixPath(one).parts[1:]) for one in archive.getnames()}
    tops = {name.parts[0] for name in names if name.parts}
    assert not tops & {"tests", "bench", "soak", "scripts", ".ci", ".venv"}
    assert not {name for name in names if re.match(r"(test_|conftest)", name.name)}
    with zipfile.ZipFile(packages.wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {"exporter", f"azure_vmss_exporter-{exporter.__version__}.dist-info"} == tops


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_package_runs_in_a_clean_environment(
    packages: Packages, tmp_path: Path, kind: str
) -> None:
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, folder=tmp_path)
    python = environment / "bin/python"
    purelib = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=tmp_path
    )
    (Path(purelib.strip()) / "dependencies.pth").write_text(f"{DEPENDENCIES}\n")
    install = "-m pip --python environment/bin/python install --no-index --no-deps"
    options = ["--no-build-isolation", "--ignore-installed", getattr(packages, kind)]
    run(sys.executable, *install.split(), *options, folder=tmp_path)

    place = run(python, "-c", "import exporter; print(exporter.__file__)", folder=tmp_path)
    assert Path(place.strip()).is_relative_to(environment)
    command = environment / "bin/azure-vmss-exporter"
    said = run(command, "--version", folder=tmp_path)
    assert said == f"azure-vmss-exporter {exporter.__version__}\n"
    example = packages.unpacked / "config.example.yaml"
    assert "good, 2 scale sets" in run(
        command, "--config.check", f"--config.file={example}", folder=tmp_path
    )
    # The demo has a scale set that cannot be read, which `--once` may count as a failure.
    page = run("bash", "-c", '"$0" --demo --once || true', command, folder=tmp_path)
    assert "\nazure_vmss_up{" in page
