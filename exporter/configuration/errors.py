"""What is wrong with a configuration: single problems, and the error that carries them all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys of mappings and indices of lists, from the top of the file."""

_ANY_NAME = None
_SECRETS: tuple[tuple[str | None, ...], ...] = (
    ("azure", "credential", "client_secret"),
    ("credentials", _ANY_NAME, "client_secret"),
)


def secret_at(path: Path) -> Path | None:
    """The path of the secret that a setting is, or that it stands below by mistake; else None.

    Nothing is ever shown of either.
    """
    for secret in _SECRETS:
        if len(path) >= len(secret) and _agrees(path, secret):
            return path[: len(secret)]
    return None


def touches_secret(path: Path) -> bool:
    """Whether a value there is a secret, stands in its place, or below it."""
    return any(_agrees(path, secret) for secret in _SECRETS)


def _agrees(path: Path, secret: tuple[str | None, ...]) -> bool:
    """Whether the two are equal as far as both go."""
    return all(want in (_ANY_NAME, have) for have, want in zip(path, secret, strict=False))


_PLAIN_KEY = re.compile(r"[\w-]{1,80}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct in the file.

    Attributes:
        path: the setting; empty where the problem is the file as a whole.
        message: what is wrong, in plain words and without any secret.
        order: its place in the file, where the path alone does not tell it.
    """

    path: Path
    message: str
    order: int | None = None

    def __str__(self) -> str:
        """The line to show; nothing that stands below a secret is in its path."""
        where = shown_path(self.path)
        return f"{where}: {self.message}" if where else self.message


class ConfigurationError(Exception):
    """The configuration cannot be used.

    Attributes:
        problems: every problem on a line of its own, `path: message`, in the file's order.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def shown_path(path: Path) -> str:
    """A path as people write it: `scale_sets[3].interval`. It never holds a line break."""
    text = ""
    for step in secret_at(path) or path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{shown_text(step)}]"
    return text


def shown_text(text: str) -> str:
    """A string of the file in quotes, on one line, cut where it is long."""
    return repr(text if len(text) <= 80 else text[:80] + "…")  # noqa: PLR2004 - told in words above
