"""`make lint` refuses an import that runs back up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.answers import ROOT


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the copy of the project in a folder."""
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("azure/transport.py", "exporter.azure.scale_sets"),
        ("azure/ratelimit/budget.py", "exporter.azure.transport"),
        ("polling/target_state.py", "exporter.polling.poller"),
        ("metrics/mapper.py", "exporter.polling.target_state"),
        ("exposition/cache.py", "exporter.metrics.family"),
        ("exposition/gzip_block.py", "exporter.exposition.page"),
        ("polling/poller.py", "exporter.persistence.store"),
        ("persistence/directory.py", "exporter.persistence.store"),
        ("runtime/clock.py", "exporter.telemetry"),
    ],
)
def test_an_import_that_runs_back_up_is_refused(tmp_path: Path, module: str, imported: str) -> None:
    shutil.copytree(ROOT / "exporter", tmp_path / "exporter")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    changed = tmp_path / "exporter" / module
    changed.write_text(f"{changed.read_text(encoding='utf-8')}\nimport {imported}\n", "utf-8")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert "is not allowed to import" in done.stdout
    assert imported in done.stdout


def test_a_module_that_no_layer_names_is_refused(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "exporter", tmp_path / "exporter")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "exporter/polling/homeless.py").write_text('"""Stands nowhere."""\n', "utf-8")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert "homeless" in done.stdout
