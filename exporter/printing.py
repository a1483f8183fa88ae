"""What a command prints for its user, wherever stdout goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable


def say(text: str) -> None:
    """Print a line on stderr."""
    print(text, file=sys.stderr)  # noqa: T201 - the answer to the one who ran the command


def print_page(chunks: Iterable[bytes]) -> bool:
    """Print a page on stdout; False, with a line on stderr, if it cannot be written.

    The page is UTF-8, whatever the terminal's encoding. A reader that closes the pipe
    early is not a failure.
    """
    # None where the process was started without one.
    if sys.stdout is None:
        say("stdout: it is closed; nothing can be printed")
        return False
    try:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer must not be tried again at the end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if isinstance(error, BrokenPipeError):
            return True
        say(f"stdout: {error.strerror}")
        return False
    return True
