"""`make lint` refuses words of ours that have given way to those of the field."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.answers import ROOT


@pytest.mark.parametrize("text", ["# Whose beat it is.\n", '"""Two Lanes."""\n', "a lenght\n"])
def test_a_private_or_misspelt_word_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "planted.py").write_text(text)
    done = subprocess.run(
        [
            Path(sys.executable).parent / "codespell",
            "--dictionary=-",
            f"--dictionary={ROOT / 'docs/words.txt'}",
            "planted.py",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "planted.py:1" in done.stdout


def test_make_lint_checks_the_words() -> None:
    (step,) = (line for line in (ROOT / "Makefile").read_text().split("\n") if "codespell" in line)
    assert "--dictionary=- --dictionary=docs/words.txt" in step
