"""Whether two pages hold the same samples, whatever their order, at any length."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PREFIX = b"azure_vmss_"
OWN_PREFIX = b"azure_vmss_exporter_"
"""The exporter's own families change from scrape to scrape and belong to no peer."""

_SAMPLE = re.compile(rb"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(rb'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?')
_MODULUS = 1 << 128


@dataclass(frozen=True)
class Fingerprint:
    """A set of samples, made small: their number, and a sum of their hashes.

    Equal sets have equal fingerprints in any order; a sample that is missing, doubled or changed
    gives another one, but for a chance of one in 2**128.
    """

    samples: int
    digest: int


def fingerprint(lines: Iterable[bytes]) -> Fingerprint:
    """The samples about Azure among the lines of a page in the text format.

    Two spellings of one sample, with other spaces, another order of labels or another way to
    write the number, count as the same.

    Raises:
        ValueError: for a line about Azure that is no sample.
    """
    count = total = 0
    for line in lines:
        if not line.startswith(PREFIX) or line.startswith(OWN_PREFIX):
            continue
        found = hashlib.blake2b(normalised(line), digest_size=16).digest()
        total = (total + int.from_bytes(found, "big")) % _MODULUS
        count += 1
    return Fingerprint(count, total)


def normalised(line: bytes) -> bytes:
    """A sample in one spelling: name, labels by name, and the number as Python writes it.

    Raises:
        ValueError: where the line is no sample, or its labels cannot be read to the end.
    """
    found = _SAMPLE.fullmatch(line.strip())
    if found is None:
        raise ValueError(f"no sample: {line!r}")
    name, labels, value = found.groups(b"")
    # Unit separators cannot be confused with what stands inside a label.
    spelled = b"\x1f".join(sorted(_pairs(labels, line)))
    return b"\x1e".join((name, spelled, repr(float(value)).encode()))


def _pairs(labels: bytes, line: bytes) -> list[bytes]:
    """The labels, each as name, equals sign, quotation mark and value."""
    if not labels:
        return []
    if b"\\" not in labels:
        # Millions of lines come this way. Without a backslash every second quotation mark ends
        # a value.
        pairs = labels.rstrip(b",").removesuffix(b'"').split(b'",')
        if 2 * len(pairs) != labels.count(b'"'):
            raise ValueError(f"odd labels: {line!r}")
        return pairs
    found = _LABEL.findall(labels)
    # Beside name and value a pair has four characters: = " " and a comma, the last one none.
    read = sum(len(key) + len(text) + 4 for key, text in found) - 1
    if read != len(labels.rstrip(b",")):
        raise ValueError(f"odd labels: {line!r}")
    return [key + b'="' + text for key, text in found]


def fingerprint_of_file(path: Path) -> Fingerprint:
    """The samples of a page saved as text."""
    with path.open("rb") as lines:
        return fingerprint(lines)


def fingerprint_of_packed(page: bytes) -> Fingerprint:
    """The samples of a page as gzip."""
    with gzip.open(io.BytesIO(page)) as lines:
        return fingerprint(lines)
