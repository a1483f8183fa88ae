"""The repository keeps its own rules: what may stand in its files, how large they grow."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import exporter
from support.answers import ROOT
from support.repository import files, texts

# The registries' hosts, and the settings by which a tool is pointed to one.
REGISTRIES = re.compile(
    r"(pypi|pythonhosted|npmjs|yarnpkg|crates|rubygems)\.(org|com|io)\b"
    r"|proxy\.golang\.org"
    r"|index[-_]url\s*[=:]?\s*\S*://"
    r'|"resolved": *"http'
    r"|https?://\S+/simple\b",
    re.IGNORECASE,
)
MOST_LINES = 400


def test_no_file_holds_the_address_of_a_package_registry() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {hit.group()}"
        for path, text in texts().items()
        if (hit := REGISTRIES.search(text))
    }
    assert not found


def test_no_file_holds_a_path_of_this_machine() -> None:
    settings = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    places = {str(ROOT)}
    for line in settings.splitlines():
        name, _, value = line.partition("=")
        if name.endswith(("-url", "-links")):
            places |= set(ast.literal_eval(value).split())
    found = {
        f"{path.relative_to(ROOT)}: {place}"
        for path, text in texts().items()
        for place in places
        if place in text
    }
    assert not found


def test_no_code_is_too_long_to_read_in_one_go() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files()
        if path.suffix == ".py"
    }
    assert not {name: length for name, length in lengths.items() if length > MOST_LINES}


def test_the_newest_heading_of_the_changelog_is_this_version_or_unreleased() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] in {"Unreleased", exporter.__version__}


def test_every_shell_script_is_executable_and_parses() -> None:
    scripts = {path for path, text in texts().items() if re.match(r"#!.*\b(ba)?sh\b", text)}
    scripts |= {path for path in files() if path.suffix == ".sh"}
    assert ROOT / ".ci" / "run" in scripts
    for script in sorted(scripts):
        assert script.stat().st_mode & 0o100, f"not executable: {script}"
        checked = subprocess.run(
            ["bash", "-n", str(script)], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


def test_the_documents_name_only_commands_that_the_makefile_has() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE))
        assert named <= targets, page


def test_each_section_of_the_changelog_stands_once_and_in_order() -> None:
    newest = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    sections = [line.removeprefix("### ") for line in newest.split("\n") if line.startswith("### ")]
    order = ["Metrics", "Added", "Changed", "Fixed"]
    assert sections == [section for section in order if section in sections]
