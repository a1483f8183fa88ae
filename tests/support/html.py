"""HTML as a browser's parser sees it, for tests: elements with their attributes and texts."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

BLOCKS = frozenset(("td", "th", "li", "dt", "dd", "p", "tr", "pre", "option", "caption"))
VOID = frozenset(("meta", "link", "input", "br", "rect", "img"))


class Element:
    """An element: its name, attributes, and what is in it."""

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.inner: list[Element | str] = []

    @property
    def text(self) -> str:
        """What a screen reader reads of it, white space as one blank."""
        return " ".join("".join(self._texts()).split())

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    def all(self, name: str = "", /, *, of: str = "", **attributes: str) -> list[Element]:
        """The elements in it of that name, class and attributes, in their order."""
        return [
            one
            for one in self.elements()
            if (not name or one.name == name)
            and (not of or of in one.classes)
            and all(one.attributes.get(key) == value for key, value in attributes.items())
        ]

    def one(self, name: str = "", /, *, of: str = "", **attributes: str) -> Element:
        (found,) = self.all(name, of=of, **attributes)
        return found

    def elements(self) -> Iterator[Element]:
        for inner in self.inner:
            if isinstance(inner, Element):
                yield inner
                yield from inner.elements()

    def _texts(self) -> Iterator[str]:
        for inner in self.inner:
            if isinstance(inner, str):
                yield inner
            elif inner.attributes.get("aria-hidden") != "true":
                block = inner.name in BLOCKS or "under" in inner.classes
                yield " " if block else ""
                yield from inner._texts()
                yield " " if block else ""


def parse(text: str) -> Element:
    """The document; an end tag without its begin, or an element left open, is an error."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    assert len(parser.open) == 1, f"left open: {[one.name for one in parser.open]}"
    return parser.open[0]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("document", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inner.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inner.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> ends {self.open[-1].name}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].inner.append(data)
