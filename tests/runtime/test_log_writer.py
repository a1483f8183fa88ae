"""Lines are written in their order from a thread, and nobody waits for whoever reads them."""

from __future__ import annotations

import fcntl
import os
import select
import threading
from collections.abc import Iterator

import pytest

from exporter.runtime.log_writer import LogWriter

PIPE = 4096
SECONDS = 20.0


class Pipe:
    """A pipe of one page that the test reads when it wants to."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        fcntl.fcntl(self.write_end, fcntl.F_SETPIPE_SZ, PIPE)
        self.text = ""

    def fill(self) -> None:
        """Leave no room for a byte."""
        os.write(self.write_end, b"x" * (PIPE - 1) + b"\n")

    def read_until(self, text: str) -> str:
        """All that was written, once this is in it."""
        while text not in self.text:
            assert select.select([self.read_end], [], [], SECONDS)[0], f"waited for {text!r}"
            chunk = os.read(self.read_end, PIPE).decode()
            assert chunk, f"ended without {text!r}"
            self.text += chunk
        return self.text

    def begin_anew(self) -> None:
        """Put a new pipe in the place of one whose reader has gone."""
        self.read_end, write_end = os.pipe()
        os.dup2(write_end, self.write_end)
        os.close(write_end)

    def close(self) -> None:
        for end in (self.read_end, self.write_end):
            os.close(end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


class Writer(LogWriter):
    """A writer with room for some lines of a hundred bytes, that counts what is lost."""

    def __init__(self, descriptor: int, room: int = 100) -> None:
        super().__init__(
            descriptor, describe_lost=lambda count: f"lost {count}", most_bytes=room * 100
        )
        self.lost = 0
        self.on_lost = self._count

    def _count(self, lines: int) -> None:
        self.lost += lines


def line(number: int) -> str:
    return f"{number:099}"


def test_lines_come_in_their_order_and_a_flush_waits_for_them(pipe: Pipe) -> None:
    writer = Writer(pipe.write_end)
    for number in range(20):
        writer.put(line(number))
    assert writer.flush(SECONDS)
    assert pipe.read_until(line(19)).splitlines() == [line(number) for number in range(20)]
    assert writer.lost == 0


def test_a_pipe_that_nobody_reads_holds_nobody_up_and_lost_lines_are_reported_at_their_place(
    pipe: Pipe,
) -> None:
    pipe.fill()
    writer = Writer(pipe.write_end)
    for number in range(1000):
        writer.put(line(number))
    assert not writer.flush(0.01)
    assert writer.lost == 900
    pipe.read_until(line(99))
    # Only then is there room for another line, for certain.
    assert writer.flush(SECONDS)
    writer.put("and on")
    _, *lines = pipe.read_until("and on\n").splitlines()
    assert lines == [*(line(number) for number in range(100)), "lost 900", "and on"]
    assert writer.lost == 900


def test_lost_lines_are_reported_even_if_nothing_comes_after_them(pipe: Pipe) -> None:
    pipe.fill()
    writer = Writer(pipe.write_end)
    for number in range(1000):
        writer.put(line(number))
    assert pipe.read_until(f"lost {writer.lost}\n").count("lost") == 1


def test_a_reader_that_is_gone_costs_lines_and_no_work(pipe: Pipe) -> None:
    reader = os.dup(pipe.read_end)
    os.close(pipe.read_end)
    os.close(reader)
    writer = Writer(pipe.write_end)
    for number in range(5):
        writer.put(line(number))
        assert writer.flush(SECONDS)
    assert writer.lost == 5
    pipe.begin_anew()
    writer.put("back")
    assert pipe.read_until("back\n") == "lost 5\nback\n"


def test_lines_lost_for_want_of_room_and_of_a_reader_are_counted_together(pipe: Pipe) -> None:
    pipe.fill()
    writer = Writer(pipe.write_end, room=2)
    for number in range(10):
        writer.put(line(number))
    assert writer.lost == 8
    os.close(pipe.read_end)
    assert writer.flush(SECONDS)
    assert writer.lost in {9, 10}, "the second line may wait for another try"
    pipe.begin_anew()
    writer.put("back")
    told = pipe.read_until("back\n").splitlines()
    assert sum(int(text[5:]) for text in told if text.startswith("lost")) == writer.lost
    assert told[-1] == "back"


def test_a_reader_that_goes_with_many_lines_waiting_costs_all_of_them(pipe: Pipe) -> None:
    pipe.fill()
    writer = Writer(pipe.write_end, room=2000)
    for number in range(1999):
        writer.put(line(number))
    read_end, pipe.read_end = pipe.read_end, os.open(os.devnull, os.O_RDONLY)
    os.close(read_end)
    assert writer.flush(SECONDS)
    assert 0 < writer.lost < 1999, "nobody tries again before there is something new"
    for number in range(1999, 2010):
        writer.put(line(number))
        assert writer.flush(SECONDS)
    assert writer.lost == 2010


def test_what_is_written_makes_room_before_all_is_written(pipe: Pipe) -> None:
    pipe.fill()
    writer = Writer(pipe.write_end, room=2000)
    for number in range(2000):
        writer.put(line(number))
    assert writer.lost == 0
    pipe.read_until(line(1000))
    writer.put("and on")
    assert writer.lost == 0
    pipe.read_until("and on\n")


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.write_end, False)
    writer = Writer(pipe.write_end)
    for number in range(90):
        writer.put(line(number))
    assert pipe.read_until(line(89)).splitlines() == [line(number) for number in range(90)]


def test_a_line_that_could_not_be_made_is_counted(pipe: Pipe) -> None:
    writer = Writer(pipe.write_end)
    writer.lose()
    writer.put("next")
    assert pipe.read_until("next\n") == "lost 1\nnext\n"
    assert writer.lost == 1


def test_text_that_is_no_unicode_is_written(pipe: Pipe) -> None:
    writer = Writer(pipe.write_end)
    writer.put("\ud800 é")
    assert pipe.read_until("\n") == "\\ud800 é\n"


def test_lines_of_many_threads_are_whole_and_in_each_thread_s_order(pipe: Pipe) -> None:
    writer = LogWriter(pipe.write_end, describe_lost=str)

    def put(name: str) -> None:
        for number in range(200):
            writer.put(f"{name} {number}")

    threads = [threading.Thread(target=put, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.put("end")
    lines = pipe.read_until("end\n").splitlines()
    for name in "abc":
        assert [text for text in lines if text.startswith(name)] == [
            f"{name} {number}" for number in range(200)
        ]
