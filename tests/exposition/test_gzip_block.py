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

from exporter.exposition.family_blocks import FamilyBlocks
from exporter.exposition.gzip_block import Block, compressed_block, join
from exporter.exposition.page import Page

texts = st.lists(st.binary(max_size=300), max_size=8)


def page_of(*parts: Block | FamilyBlocks) -> Page:
    page = Page()
    for part in parts:
        if isinstance(part, Block):
            page.add(part)
        else:
            page.add_family(part)
    return page


def gzip_file(page: Page, size: int = 64) -> bytes:
    whole = b"".join(page.gzip_chunks(size))
    assert len(whole) == page.gzip_length
    return whole


@given(texts)
def test_joined_blocks_are_one_gzip_member_with_the_joined_text(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    block = join(map(compressed_block, parts))
    assert (block.length, block.crc) == (len(whole), zlib.crc32(whole))
    assert block.lines == whole.count(b"\n")
    member = gzip_file(page_of(block))
    assert gzip.decompress(member) == whole
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert decompressor.decompress(member) == whole
    assert decompressor.eof
    assert decompressor.unused_data == b""


@given(texts, st.integers(1, 64))
def test_the_text_comes_back_in_chunks_of_the_size_asked_for(parts: list[bytes], size: int) -> None:
    block = join(map(compressed_block, parts))
    chunks = list(page_of(block).plain_chunks(size))
    assert b"".join(chunks) == b"".join(parts) == block.text
    assert all(len(chunk) <= size for chunk in chunks)


@given(st.lists(st.tuples(st.integers(0, 20), st.none() | st.binary(max_size=50)), max_size=40))
def test_a_row_knows_its_text_after_every_change(changes: list[tuple[int, bytes | None]]) -> None:
    row, texts_now = FamilyBlocks(), dict[int, bytes]()
    for place, text in changes:
        row.put(place, None if text is None else compressed_block(text))
        texts_now[place] = text or b""
        whole = b"".join(texts_now[place] for place in sorted(texts_now))
        assert (row.length, row.crc, row.lines) == (
            len(whole),
            zlib.crc32(whole),
            whole.count(b"\n"),
        )
        page = page_of(compressed_block(b"# a header\n"), row)
        assert gzip.decompress(gzip_file(page)) == b"# a header\n" + whole
        assert page.series == row.lines


def test_a_page_keeps_the_bytes_of_its_moment() -> None:
    row = FamilyBlocks()
    row.put(0, compressed_block(b"old\n"))
    page = page_of(row)
    row.put(0, compressed_block(b"new\n"))
    row.put(1, compressed_block(b"more\n"))
    assert page.text == b"old\n"


def test_a_large_text_comes_back_whole() -> None:
    text = b"".join(b'azure_vmss_up{scale_set="web-%d"} 1\n' % number for number in range(100_000))
    block = join(
        compressed_block(text[begin : begin + 50_000]) for begin in range(0, len(text), 50_000)
    )
    assert b"".join(page_of(block).plain_chunks(65_536)) == text
    assert len(block.deflated) < len(text) / 5


@pytest.mark.skipif(shutil.which("gzip") is None, reason="gzip is not installed")
def test_gzip_itself_reads_it(tmp_path: Path) -> None:
    member = gzip_file(
        page_of(compressed_block(b"one\n"), compressed_block(b""), compressed_block(b"two\n"))
    )
    (tmp_path / "page.gz").write_bytes(member)
    read = subprocess.run(["gzip", "-dc", tmp_path / "page.gz"], capture_output=True, check=True)
    assert (read.stdout, read.stderr) == (b"one\ntwo\n", b"")


def test_many_small_blocks_come_in_chunks_of_the_size_in_both_encodings() -> None:
    served = Page()
    texts = [f'up{{set="{number}"}} 1\n'.encode() for number in range(2500)]
    for text in texts:
        served.add(compressed_block(text))
    plain = list(served.plain_chunks(10_000))
    assert b"".join(plain) == b"".join(texts)
    assert {len(chunk) for chunk in plain[:-1]} == {10_000}
    compressed = list(served.gzip_chunks(10_000))
    assert gzip.decompress(b"".join(compressed)) == b"".join(texts)
    assert all(len(chunk) >= 10_000 for chunk in compressed[:-1])
    assert len(b"".join(compressed)) == served.gzip_length


def test_a_large_block_comes_in_chunks_of_the_size() -> None:
    served = Page()
    text = b"".join(b"a_metric %d\n" % number for number in range(50_000))
    served.add(compressed_block(text))
    chunks = list(served.plain_chunks(10_000))
    assert b"".join(chunks) == text
    assert {len(chunk) for chunk in chunks[:-1]} == {10_000}


def test_an_empty_page_has_no_chunk() -> None:
    assert list(Page().plain_chunks(100)) == []
    assert gzip.decompress(b"".join(Page().gzip_chunks(100))) == b""
