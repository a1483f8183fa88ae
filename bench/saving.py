"""Saves the exporter's page as it is served, for the peers to serve the same."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from bench.client import opened
from bench.peers.servers import Page


def save(url: str, folder: Path) -> Page:
    """Save a page as text and as the gzip bytes that came over the wire.

    Args:
        folder: where; it must exist.

    Raises:
        RuntimeError: where the page does not come with gzip.
    """
    page = Page(text=folder / "metrics", packed=folder / "metrics.gz")
    with opened(url, gzip=True) as response, page.packed.open("wb") as file:
        if response.headers["Content-Encoding"] != "gzip":
            raise RuntimeError(f"{url}: not compressed")
        shutil.copyfileobj(response, file)
    with gzip.open(page.packed) as packed, page.text.open("wb") as file:
        shutil.copyfileobj(packed, file, 1024 * 1024)
    return page
