"""Compressed blocks: one after the other they are one gzip member, for every decoder."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.block import gzip_member, join, plain_chunks, press

texts = st.lists(st.binary(max_size=300), max_size=8)


@given(texts)
def test_joined_blocks_are_one_gzip_member_with_the_joined_text(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    block = join(map(press, parts))
    assert (block.length, block.crc) == (len(whole), zlib.crc32(whole))
    assert block.lines == whole.count(b"\n")
    member = b"".join(gzip_member(block))
    assert gzip.decompress(member) == whole
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert decompressor.decompress(member) == whole
    assert decompressor.eof
    assert decompressor.unused_data == b""


@given(texts, st.integers(1, 64))
def test_the_text_comes_back_in_chunks_of_the_size_asked_for(parts: list[bytes], size: int) -> None:
    block = join(map(press, parts))
    chunks = list(plain_chunks(block, size))
    assert b"".join(chunks) == b"".join(parts) == block.text
    assert all(len(chunk) <= size for chunk in chunks)


def test_a_large_text_comes_back_whole() -> None:
    text = b"".join(b'azure_vmss_up{scale_set="web-%d"} 1\n' % number for number in range(100_000))
    block = join(press(text[begin : begin + 50_000]) for begin in range(0, len(text), 50_000))
    assert b"".join(plain_chunks(block, 65_536)) == text
    assert len(block.deflated) < len(text) / 5


@pytest.mark.skipif(shutil.which("gzip") is None, reason="gzip is not installed")
def test_gzip_itself_reads_it(tmp_path: Path) -> None:
    member = b"".join(gzip_member(join((press(b"one\n"), press(b""), press(b"two\n")))))
    (tmp_path / "page.gz").write_bytes(member)
    read = subprocess.run(["gzip", "-dc", tmp_path / "page.gz"], capture_output=True, check=True)
    assert (read.stdout, read.stderr) == (b"one\ntwo\n", b"")
