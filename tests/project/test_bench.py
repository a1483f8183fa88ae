"""The benches measure what they say: cooperative, bytes, sameness, and the report. Nothing is timed."""

from __future__ import annotations

import gzip
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import figures, growth, report, small_sets, start
from bench.client import Client, Scrape, opened
from bench.fleet import build, set_names
from bench.process import running
from bench.rounds import alternate, median
from bench.samples import fingerprint, fingerprint_of_packed
from bench.saving import save
from bench.scale import FULL, QUICK
from exporter.configuration import load

PAGE = [
    b"# HELP azure_vmss_up Whether the last poll succeeded.\n",
    b"# TYPE azure_vmss_up gauge\n",
    b'azure_vmss_up{scale_set="web",resource_group="rg"} 1\n',
    b'azure_vmss_capacity{scale_set="we\\"b, x=\\\\",resource_group="rg"} 12\n',
    b"azure_vmss_instances 3e+06\n",
    b"azure_vmss_exporter_polls_total 7\n",
    b"python_info 1\n",
]


@contextmanager
def answering(*parts: bytes) -> Iterator[str]:
    """A server on the loopback that gives these bytes to one client."""
    with answering_with_request(*parts) as (url, _):
        yield url


@contextmanager
def answering_with_request(
    *parts: bytes,
) -> Iterator[tuple[str, list[bytes]]]:
    """The same; the second value is what the client asked, once it has."""
    asked: list[bytes] = []
    parts = parts or (head("Content-Length: 1"), b"x")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                asked.append(request)
                for part in parts:
                    connection.sendall(part)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/metrics", asked
        thread.join(timeout=10)


def head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", *lines, "")).encode()


def test_measurements_take_turns() -> None:
    order: list[str] = []

    def note(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = alternate({name: partial(note, name) for name in "ABC"}, 2)
    assert "".join(order) == "ABCABC"
    assert found == {"A": [1.0, 4.0], "B": [2.0, 5.0], "C": [3.0, 6.0]}
    assert median([9.0, 1.0, 2.0]) == 2.0


def test_the_client_reads_a_body_of_known_length() -> None:
    with answering(head("Content-Length: 6"), b"abc", b"def") as url:
        scrape = Client().scrape(url, gzip=False)
    assert scrape.length == 6
    assert 0 < scrape.first_byte <= scrape.seconds
    assert not scrape.encoded


def test_the_client_reads_a_body_in_chunks_to_the_last_one() -> None:
    body = b"3\r\nabc\r\n0\r\n\r\n"
    with answering(
        head("Transfer-Encoding: chunked", "Content-Encoding: gzip") + body[:4], body[4:]
    ) as url:
        kept = bytearray()
        assert Client().scrape(url, gzip=True, keep=kept).length == len(body)
    assert kept == b"abc"


def test_the_client_asks_for_the_whole_address() -> None:
    with answering_with_request() as (url, asked):
        Client().scrape(f"{url}?name[]=azure_vmss_up", gzip=False)
    assert asked[0].startswith(b"GET /metrics?name[]=azure_vmss_up HTTP/1.1\r\n")


def test_many_small_sets_are_reported_by_the_way_of_asking() -> None:
    answers = small_sets.Answers([Scrape(0.001, 0.004, 1000, encoded=False)] * 2, 0.006)
    found = dict.fromkeys(small_sets.WAYS, answers)
    table = small_sets._table(2_500, found)
    assert [row[:2] for row in table.rows[:4]] == [
        ("`/metrics`", "gzip"),
        ("`/metrics`", "identity"),
        ("`/metrics?name[]=azure_vmss_up`", "gzip"),
        ("`/metrics?name[]=azure_vmss_up`", "identity"),
    ]
    assert table.rows[0][2:] == ("1.00 ms", "4.00 ms", "3.00 ms", "0.00")
    assert [target.reached for target in small_sets._targets(2_500, found)] == [True, True]


def test_a_start_is_measured_with_configurations_that_are_good(tmp_path: Path) -> None:
    text = start._configuration(tmp_path, 3).read_text()
    assert [target.scale_set.name for target in load(text, environment={}).targets()] == [
        "set-0",
        "set-1",
        "set-2",
    ]


def test_a_start_that_fails_is_no_measurement() -> None:
    assert start._to_the_end("--version") > 0
    with pytest.raises(RuntimeError, match="ended with 2"):
        start._to_the_end("--novelty")


def test_the_client_reads_to_the_end_of_the_connection() -> None:
    with answering(head(), b"x" * 3_000_000) as url:
        kept = bytearray()
        assert Client().scrape(url, gzip=False, keep=kept).length == 3_000_000
    assert kept == b"x" * 3_000_000


@pytest.mark.parametrize(
    ("lines", "body"),
    [(["Content-Length: 7"], b"abc"), (["Transfer-Encoding: chunked"], b"3\r\nabc\r\n")],
)
def test_the_client_refuses_a_body_that_ends_early(lines: list[str], body: bytes) -> None:
    with answering(head(*lines), body) as url, pytest.raises(RuntimeError, match="ended after"):
        Client().scrape(url, gzip=False)


def test_the_client_refuses_what_it_did_not_ask_for() -> None:
    with (
        answering(head("Content-Length: 1"), b"x") as url,
        pytest.raises(RuntimeError, match="gzip"),
    ):
        Client().scrape(url, gzip=True)
    refusal = b"HTTP/1.1 503 Not now\r\nContent-Length: 1\r\n\r\nx"
    with answering(refusal) as url, pytest.raises(RuntimeError, match="503"):
        Client().scrape(url, gzip=False)
    with answering(refusal) as url, pytest.raises(RuntimeError, match="503"), opened(url):
        pass


def test_a_page_is_read_without_its_framing() -> None:
    body = b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    with answering(head("Transfer-Encoding: chunked"), body) as url, opened(url) as response:
        assert response.read() == b"abc"


def test_equal_sets_of_samples_are_equal_in_any_order_and_spelling() -> None:
    other = [
        b"azure_vmss_instances 3000000.0\n",
        b"go_goroutines 7\n",
        b'azure_vmss_capacity{resource_group="rg",scale_set="we\\"b, x=\\\\"} 12.0\n',
        b'azure_vmss_up{resource_group="rg",scale_set="web"} 1.0',
    ]
    assert fingerprint(PAGE) == fingerprint(other)
    assert fingerprint(PAGE) == fingerprint_of_packed(gzip.compress(b"".join(PAGE)))
    assert fingerprint(PAGE).samples == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"} 12", b"} 13"),
        (b'"web"', b'"wep"'),
        (b"_up{", b"_down{"),
        (b"scale_set=", b"scale_sat="),
        (b"azure_vmss_instances 3e+06\n", b""),
        (b"azure_vmss_instances 3e+06\n", b"azure_vmss_instances 3e+06\n" * 2),
        (b"x=\\\\", b"x=\\\\\\\\"),
    ],
)
def test_a_sample_that_is_changed_missing_or_doubled_is_seen(old: bytes, new: bytes) -> None:
    changed = b"".join(PAGE).replace(old, new).splitlines(keepends=True)
    assert fingerprint(changed) != fingerprint(PAGE)


@pytest.mark.parametrize(
    "line",
    [b"azure_vmss_up\n", b'azure_vmss_up{a="b} 1\n', b'azure_vmss_up{a="b\\"} 1\n'],
)
def test_a_line_that_is_no_sample_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"no sample|odd labels"):
        fingerprint([line])


def test_the_report_holds_everything_as_markdown(tmp_path: Path) -> None:
    table = report.Table("Scrape", "How.", ("what", "time"), [("ours", "1 ms"), ("a|b", "2 ms")])
    targets = [
        report.Target("scrape", "at most 2", "1", reached=True),
        report.Target("memory", "at most 3", "4", reached=False),
        report.Target("loop", "at most 5", "", reached=None),
    ]
    text = report.document(
        facts=[("date", "2026-01-02")],
        command="python -m bench",
        parts=[report.Part([table], targets)],
        failures=[report.Failure("loop", "OSError: no")],
    )
    report.write(tmp_path / "benchmarks.md", text)
    assert (tmp_path / "benchmarks.md").read_text() == text
    assert list(tmp_path.iterdir()) == [tmp_path / "benchmarks.md"]
    lines = text.splitlines()
    assert lines[0] == "# Benchmarks"
    for line in (
        "| date | 2026-01-02 |",
        "Part *loop* failed: OSError: no",
        "| scrape | at most 2 | 1 | yes |",
        "| memory | at most 3 | 4 | **no** |",
        "| loop | at most 5 |  | not measured |",
        "## Scrape",
        "| what | time |",
        "|---|---|",
        r"| a\|b | 2 ms |",
    ):
        assert line in lines


def test_columns_are_aligned_on_the_terminal() -> None:
    table = report.Table("T", "", ("what", "time"), [("ours", "1 ms"), ("a longer one", "")])
    assert report.aligned(table).splitlines()[3:] == [
        "what          time",
        "------------  ----",
        "ours          1 ms",
        "a longer one",
    ]


def test_a_part_that_fails_does_not_lose_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(name: str, _: object) -> report.Part:
        if name == "memory":
            raise OSError("no memory")
        return report.Part([report.Table(f"part {name}", "", ("x",), [("1",)])])

    monkeypatch.setattr(command, "measure", measure)
    output = tmp_path / "benchmarks.md"
    monkeypatch.setattr(
        sys, "argv", ["bench", "--quick", "--only=scrape,memory,growth", f"--output={output}"]
    )
    assert command.main() == command.FAILED
    text = output.read_text()
    assert "Part *memory* failed: OSError: no memory" in text
    assert text.index("## part scrape") < text.index("## part growth")
    assert "| size | quick: 1,000, 10,000 instances |" in text
    assert "part scrape" in capsys.readouterr().out


def test_targets_are_held_against_what_was_measured() -> None:
    assert figures.at_most("x", 2, 2.0, "ms").reached is True
    assert figures.at_most("x", 2, 2.01, "ms") == report.Target(
        "x", "at most 2 ms", "2.01 ms", False
    )
    assert figures.at_least("x", 500, 1234.0, "times").measured == "1,234 times"
    assert figures.at_least("x", 500, 499.0, "times").reached is False
    assert figures.at_least("x", 500, None, "times").reached is None


def test_growth_is_the_worse_of_the_whole_and_the_slope() -> None:
    flat = growth.Cost("flat", "µs", {1: 10.0, 10: 19.0, 100: 109.0})
    assert flat.per_instance == [10.0, 1.9, 1.09]
    assert flat.slopes == [1.0, 1.0]
    assert flat.growth == 1.0
    steeper = growth.Cost("steeper", "µs", {1: 10.0, 10: 19.0, 100: 289.0})
    assert steeper.growth == 3.0
    assert growth.Cost("two sizes", "µs", {1: 1.0, 10: 20.0}).growth == 2.0


def test_a_twentieth_of_the_fleet_has_failed_and_all_instances_differ() -> None:
    fleet = build(2, 100)
    assert [scale_set.identity.name for scale_set in fleet.scale_sets] == set_names(2)
    instances = [one for scale_set in fleet.scale_sets for one in scale_set.instances.values()]
    assert sum(one.provisioning.startswith("failed/") for one in instances) == 10
    assert len({one.provisioning for one in instances}) > 3
    assert len({one.vm_id for one in instances}) == len({one.created for one in instances}) == 200


def test_a_slow_peer_gets_three_rounds_where_one_takes_a_minute() -> None:
    assert [FULL.rounds_of_slow_peers(size) for size in FULL.sizes] == [5, 5, 3]
    assert QUICK.largest == 10_000
    assert [QUICK.plain_rounds_of_slow_peers(size) for size in QUICK.sizes] == [5, 0]


def test_a_measured_process_is_read_and_ended() -> None:
    program = "import sys; print('ready: yes', flush=True); sys.stdin.readline(); print('got: it')"
    with running("a process", [sys.executable, "-c", program]) as process:
        assert process.wait_for("ready: (.*)") == "yes"
        assert 0 < process.memory().resident <= process.memory().peak
        assert process.processor_seconds() >= 0
        process.pause()
        process.resume()
        process.tell("go on")
        assert process.wait_for("got: (.*)") == "it"
        with pytest.raises(RuntimeError, match="ended before"):
            process.wait_for("never")
    assert process.process.poll() is not None


def test_a_paused_process_is_ended_too() -> None:
    program = "import sys; print('ready: yes', flush=True); sys.stdin.read()"
    with running("a process", [sys.executable, "-c", program]) as process:
        process.wait_for("ready: (.*)")
        process.pause()
    assert process.process.poll() is not None


def test_a_saved_page_is_the_same_packed_and_not(tmp_path: Path) -> None:
    body = gzip.compress(b"".join(PAGE))
    with answering(head("Content-Encoding: gzip", f"Content-Length: {len(body)}"), body) as url:
        page = save(url, tmp_path)
    assert page.packed.read_bytes() == body
    assert page.text.read_bytes() == b"".join(PAGE)
