"""A page of finished blocks: as one gzip member, or inflated, in chunks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator

from isal import isal_zlib

from exporter.exposition.family_blocks import FamilyBlocks
from exporter.exposition.gzip_block import Block

_RAW = -15
_BITE = 4096
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK = b"\x03\x00"
_TRAILER_LENGTH = 8


def gzip_end(crc: int, length: int) -> bytes:
    """What ends a gzip file, after blocks of a text with this CRC-32 and this length."""
    return _LAST_BLOCK + crc.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little")


class Page:
    """Blocks one after the other. Nothing is copied together before it is sent.

    The bytes are those of the moment in which they were added, whatever is replaced later.

    Attributes:
        crc: the CRC-32 of the text.
        length: the bytes of the text.
        series: its samples: the lines of all rows.
    """

    def __init__(self) -> None:
        self.crc = 0
        self.length = 0
        self.series = 0
        self._size = 0
        self._parts: list[bytes] = []

    def add(self, block: Block) -> None:
        """Append a block."""
        self._append([block.deflated], len(block.deflated), block.crc, block.length)

    def add_family(self, row: FamilyBlocks) -> None:
        """Append all blocks of a row, as they are now."""
        self._append(row.parts(), row.size, row.crc, row.length)
        self.series += row.lines

    @property
    def gzip_length(self) -> int:
        """The bytes of the page as a gzip file."""
        return len(GZIP_HEADER) + self._size + len(_LAST_BLOCK) + _TRAILER_LENGTH

    def gzip_chunks(self, size: int) -> Iterator[bytes]:
        """The page as a gzip file of one member, in chunks of at least that size but the last.

        One member, since curl and others read no further than the first.
        """
        gathered, length = [GZIP_HEADER], 0
        for part in self._parts:
            gathered.append(part)
            length += len(part)
            if length >= size:
                yield b"".join(gathered)
                gathered, length = [], 0
        yield b"".join((*gathered, gzip_end(self.crc, self.length)))

    def plain_chunks(self, size: int) -> Iterator[bytes]:
        """The text in chunks of exactly that size, the last one shorter."""
        decompressor = isal_zlib.decompressobj(wbits=_RAW)
        gathered, length = [], 0
        for bite in self._bites():
            rest = bite
            while text := decompressor.decompress(rest, size - length):
                gathered.append(text)
                length += len(text)
                rest = decompressor.unconsumed_tail
                if length == size:
                    yield b"".join(gathered)
                    gathered, length = [], 0
        if gathered:
            yield b"".join(gathered)

    def _bites(self) -> Iterator[bytes]:
        """The compressed text in small bites: what a decompressor leaves over is copied each time.

        Not smaller than that either: with many small sets a block is some hundred bytes, and the
        call costs more than the text.
        """
        gathered, length = [], 0
        for part in self._parts:
            gathered.append(part)
            length += len(part)
            if length >= _BITE:
                joined = b"".join(gathered)
                for begin in range(0, length, _BITE):
                    yield joined[begin : begin + _BITE]
                gathered, length = [], 0
        yield b"".join(gathered)

    @property
    def text(self) -> bytes:
        """The whole text."""
        return b"".join(self.plain_chunks(1 << 20))

    def _append(self, parts: list[bytes], size: int, crc: int, length: int) -> None:
        self._parts += parts
        self._size += size
        self.crc = isal_zlib.crc32_combine(self.crc, crc, length)
        self.length += length
