"""Files that are none: nothing that a path leads to holds the exporter up or fills its memory."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.runtime.files import OffLoop, read_file


def _directory(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_directory, "a directory"),
        (_pipe, "a pipe"),
        (_socket, "a socket"),
        (_endless, "a device"),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "it"
    make(path)
    with pytest.raises(OSError, match=said) as error:
        read_file(path, at_most=10)
    assert error.value.strerror is not None
    assert str(tmp_path) not in error.value.strerror


def test_a_pipe_that_takes_the_files_place_between_look_and_opening_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    regular = tmp_path / "regular"
    regular.touch()
    found = regular.stat()
    _pipe(tmp_path / "it")
    monkeypatch.setattr(os, "stat", lambda *_, **__: found)
    with pytest.raises(OSError, match="a pipe"):
        read_file(tmp_path / "it", at_most=10)


def test_a_file_of_just_the_length_is_read_and_a_longer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"0123456789")
    assert read_file(path, at_most=10) == b"0123456789"
    with pytest.raises(OSError, match="more than 9 bytes"):
        read_file(path, at_most=9)


def test_of_a_file_that_grows_while_it_is_read_no_more_than_the_limit_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it").touch()
    taken = 0

    def endless(_: int, length: int) -> bytes:
        nonlocal taken
        taken += length
        return b"x" * length

    monkeypatch.setattr(os, "read", endless)
    with pytest.raises(OSError, match="too long"):
        read_file(tmp_path / "it", at_most=3_000_000)
    assert taken == 3_000_001


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        read_file(tmp_path / "it", at_most=1)
        for path, limit in ((tmp_path / "it", 0), (tmp_path / "pipe", 1)):
            with pytest.raises(OSError, match="it is"):
                read_file(path, at_most=limit)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_links_are_followed_unless_they_must_not_be(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"1")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "it")
    assert read_file(link, at_most=1) == b"1"
    with pytest.raises(OSError, match="not a file"):
        read_file(link, at_most=1, follow=False)


def test_what_is_missing_or_no_path_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="No such file"):
        read_file(tmp_path / "none", at_most=1)
    with pytest.raises(OSError, match="not a path"):
        read_file("a\0b", at_most=1)


class Hanging:
    """A read that ends when the test lets it."""

    def __init__(self) -> None:
        self.begun = 0
        self.go_on = threading.Event()

    def __call__(self) -> str:
        self.begun += 1
        self.go_on.wait(30)
        return "content"


async def test_a_read_that_hangs_is_given_up_and_no_second_one_begins() -> None:
    hanging = Hanging()
    reader = OffLoop(hanging, patience=0.01)
    for _ in range(3):
        with pytest.raises(TimeoutError, match=r"no answer within 0.01 s"):
            await reader.read()
    assert hanging.begun == 1
    hanging.go_on.set()
    later = OffLoop(hanging)
    assert await later.read() == "content"


async def test_a_read_that_ends_late_makes_way_for_the_next() -> None:
    hanging = Hanging()
    reader = OffLoop(hanging)
    waiting = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    hanging.go_on.set()
    # The first one's, which was under way all the time.
    assert await reader.read() == "content"
    assert await reader.read() == "content"
    assert hanging.begun == 2


async def test_what_the_read_raises_is_raised_to_everybody_who_waits() -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied")

    reader = OffLoop(fail)
    ended = await asyncio.gather(reader.read(), reader.read(), return_exceptions=True)
    assert [str(error) for error in ended] == ["[Errno 13] Permission denied"] * 2


async def test_without_a_thread_the_read_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(OSError, match="gives no thread"):
        await OffLoop(lambda: None).read()


def test_a_read_that_outlives_the_loop_is_nobodys_trouble() -> None:
    hanging = Hanging()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await OffLoop(hanging, patience=0.0).read()

    asyncio.run(give_up())
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "file")
    assert thread.daemon
    hanging.go_on.set()
    thread.join(30)
    assert not thread.is_alive()
