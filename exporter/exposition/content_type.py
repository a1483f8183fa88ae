"""The two exposition formats, and which of them a client wants."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

_OPENMETRICS = "application/openmetrics-text"
_TEXT_TYPES = ("text/plain", "text/*", "*/*")
_OPENMETRICS_VERSIONS = ("", "0.0.1", "1.0.0")


@dataclass(frozen=True, slots=True)
class Format:
    """An exposition format: its `Content-Type`, and what ends a page."""

    content_type: str
    openmetrics: bool
    end: bytes = b""

    def own_families(self, collector: Collector) -> bytes:
        """Write what a prometheus_client collector holds, without the end of the page."""
        write = generate_openmetrics if self.openmetrics else generate_latest
        return write(collector).removesuffix(self.end)


TEXT = Format(content_type="text/plain; version=0.0.4; charset=utf-8", openmetrics=False)
OPENMETRICS = Format(
    content_type="application/openmetrics-text; version=1.0.0; charset=utf-8",
    openmetrics=True,
    end=b"# EOF\n",
)


def choose_format(accept: str) -> Format:
    """Choose by the `Accept` header: OpenMetrics where it is asked for and not liked less.

    Prometheus asks for OpenMetrics first and text 0.0.4 at a lower quality; a browser or curl
    asks for neither and gets text.
    """
    text = openmetrics = 0.0
    for part in accept.split(","):
        media_type, *parameters = (chunk.strip().lower() for chunk in part.split(";"))
        values = {
            name.strip(): value.strip(' "')
            for name, _, value in (parameter.partition("=") for parameter in parameters)
        }
        quality = _quality(values.get("q", "1"))
        if media_type == _OPENMETRICS and values.get("version", "") in _OPENMETRICS_VERSIONS:
            openmetrics = max(openmetrics, quality)
        elif media_type in _TEXT_TYPES:
            text = max(text, quality)
    return OPENMETRICS if openmetrics > 0 and openmetrics >= text else TEXT


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the `Accept-Encoding` header allows gzip."""
    quality: dict[str, float] = {}
    for part in accept_encoding.lower().split(","):
        coding, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        quality[coding.strip()] = _quality(value) if name.strip() == "q" else 1.0
    return quality.get("gzip", quality.get("*", 0.0)) > 0


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
