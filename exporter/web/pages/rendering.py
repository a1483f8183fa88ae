"""From a template to chunks of HTML: piece by piece, so that no page is ever held as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from exporter.web.headers import policy_with_style, style_element
from exporter.web.pages import texts

CHUNK = 8 * 1024
"""Characters of HTML that are rendered at a time: some milliseconds of work."""

TEMPLATES = ("fleet.html", "scale_set.html", "instance.html", "missing.html")


class Rendering:
    """The templates, compiled once.

    Attributes:
        headers: those of every page: its type, and a policy that allows its own style and forms.
    """

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("exporter.web.pages"),
            # Whatever a name or a message holds, it is never markup.
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        source, _, _ = PackageLoader("exporter.web.pages").get_source(environment, "style.css")
        style = " ".join(source.split())
        environment.globals["style"] = style_element(style)
        environment.globals["states"] = texts.STATES
        environment.filters["duration"] = texts.duration
        # Now, not while a client waits: it takes longer than a chunk may.
        self._templates = {name: environment.get_template(name) for name in TEMPLATES}
        self.headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": policy_with_style(style, forms=True),
            "Cache-Control": "no-store",
        }

    def render(self, template: str, context: Mapping[str, Any]) -> Iterator[bytes]:
        """The page in chunks, each made when it is asked for."""
        waiting: list[str] = []
        length = 0
        for piece in self._templates[template].generate(context):
            waiting.append(piece)
            length += len(piece)
            if length >= CHUNK:
                yield "".join(waiting).encode(errors="replace")
                waiting, length = [], 0
        yield "".join(waiting).encode(errors="replace")
