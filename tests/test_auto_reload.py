"""The configuration is reloaded when a file has other content, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.auto_reload import AutoReload, Watched, named_files
from exporter.configuration import Configuration, load
from support.clock import FakeClock

SETS = (
    "scale_sets: [{subscription_id: 00000000-0000-0000-0000-000000000000,"
    " resource_group: rg, name: web}]\n"
)


class Case:
    """A configuration file in a folder, and how often a reload was asked for."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.file = folder / "config.yaml"
        self.authorities = folder / "ca.pem"
        self.authorities.write_text("one")
        self.text = f"azure: {{ca_file: {self.authorities}}}\n{SETS}"
        self.file.write_text(self.text)
        self.reloads = 0
        self.watching = AutoReload(
            Watched(str(self.file), 30.0),
            text=self.text,
            configuration=self.configuration,
            reload=self.reload,
            clock=clock,
        )

    def configuration(self) -> Configuration:
        return load(self.text, environment={})

    def reload(self) -> None:
        self.reloads += 1

    async def looks(self, times: int = 2) -> int:
        for _ in range(times):
            await self.watching.look()
        return self.reloads


@pytest.fixture
def case(tmp_path: Path, clock: FakeClock) -> Case:
    return Case(tmp_path, clock)


async def test_the_same_content_is_not_reloaded_whenever_it_was_written(case: Case) -> None:
    assert await case.looks() == 0
    case.file.write_text(case.text)
    assert await case.looks() == 0


async def test_another_content_is_reloaded_once_good_or_bad(case: Case) -> None:
    await case.looks()
    case.file.write_text("nonsense")
    assert await case.looks() == 1
    case.file.write_text(case.text)
    assert await case.looks() == 2


async def test_a_change_between_the_start_and_the_first_look_counts(case: Case) -> None:
    case.file.write_text(case.text + "# more")
    assert await case.looks() == 1


async def test_a_file_that_is_named_counts_too(case: Case) -> None:
    await case.looks()
    case.authorities.write_text("two")
    assert await case.looks() == 1


async def test_a_file_that_is_being_replaced_is_waited_for(case: Case) -> None:
    await case.looks()
    for gone in (case.authorities, case.file):
        before = gone.read_bytes()
        gone.unlink()
        assert await case.looks() == 0
        gone.write_bytes(before)
        assert await case.looks() == 0


async def test_the_links_of_a_config_map_are_followed(tmp_path: Path, clock: FakeClock) -> None:
    mounted = tmp_path / "mounted"
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        Case(tmp_path / version, clock)
    (tmp_path / "two/config.yaml").write_text(SETS)
    mounted.symlink_to(tmp_path / "one")
    reloads: list[None] = []
    watching = AutoReload(
        Watched(str(mounted / "config.yaml"), 30.0),
        text=(mounted / "config.yaml").read_text(),
        configuration=lambda: load(SETS, environment={}),
        reload=lambda: reloads.append(None),
        clock=clock,
    )
    await watching.look()
    following = tmp_path / "following"
    following.symlink_to(tmp_path / "two")
    following.replace(mounted)
    await watching.look()
    assert len(reloads) == 1


def test_the_files_of_every_credential_are_named() -> None:
    text = (
        "azure: {ca_file: /ca, credential: {type: client_secret, tenant_id: a, client_id: b,"
        " client_secret_file: /secret}}\n"
        "credentials: {other: {type: client_certificate, tenant_id: a, client_id: b,"
        " certificate_path: /certificate}}\n"
    )
    assert named_files(load(text + SETS, environment={})) == ["/ca", "/certificate", "/secret"]
