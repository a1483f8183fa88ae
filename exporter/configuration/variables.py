"""`${NAME}` in the strings of the file, replaced from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def substitute(text: str, environment: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Replace every `${NAME}`; any other `$` is itself, and what was put in is not read again.

    Returns:
        The text, and the names that the environment lacks; these stay in the text as they are.
    """
    unset = dict.fromkeys(name for name in _VARIABLE.findall(text) if name not in environment)
    replaced = _VARIABLE.sub(lambda match: environment.get(match[1], match[0]), text)
    return replaced, tuple(unset)


def is_variable(text: str) -> bool:
    """Whether the text is one `${NAME}` and nothing else."""
    return _VARIABLE.fullmatch(text) is not None
