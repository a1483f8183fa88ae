"""`${NAME}` in the strings of the file, replaced from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def substitute(
    text: str, environment: Mapping[str, str], *, longest: int
) -> tuple[str, tuple[str, ...]]:
    """Replace every `${NAME}`; any other `$` is itself, and what was put in is not read again.

    Args:
        text: the string as it is written.
        environment: the values by name.
        longest: how many characters the result may have.

    Returns:
        The text, and the names that the environment lacks; these stay in the text as they are.

    Raises:
        OverflowError: it would be longer. It is not made, for a short text may name a long value
            many times.
    """
    names = _VARIABLE.findall(text)
    unset = tuple(dict.fromkeys(name for name in names if name not in environment))
    added = sum(len(environment[name]) - len(name) - 3 for name in names if name in environment)
    if len(text) + added > longest:
        raise OverflowError("too long")
    return _VARIABLE.sub(lambda match: environment.get(match[1], match[0]), text), unset


def is_variable(text: str) -> bool:
    """Whether the text is one `${NAME}` and nothing else."""
    return _VARIABLE.fullmatch(text) is not None
