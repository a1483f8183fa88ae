"""What a command prints for its user, wherever stdout goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TextIO


def print_error(text: str) -> None:
    """Print a line on stderr. Where that cannot be written, the exit code still tells."""
    if sys.stderr is None:
        return
    try:
        print(text, file=sys.stderr)  # noqa: T201 - the answer to the one who ran the command
    except OSError:
        _give_up(sys.stderr)


def print_line(text: str) -> bool:
    """Print a line on stdout; False if it cannot be written, which is reported on stderr."""
    # A path is whatever bytes it is.
    return print_page([text.encode(errors="surrogateescape") + b"\n"])


def print_page(chunks: Iterable[bytes]) -> bool:
    """Print a page on stdout; False, with a line on stderr, if it cannot be written.

    The page is UTF-8, whatever the terminal's encoding. A reader that closes the pipe
    early is not a failure.
    """
    # None where the process was started without one.
    if sys.stdout is None:
        print_error("stdout: it is closed; nothing can be printed")
        return False
    try:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
    except OSError as error:
        _give_up(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return True
        print_error(f"stdout: {error.strerror}")
        return False
    return True


def _give_up(stream: TextIO) -> None:
    """Let the stream lead nowhere.

    What is left in its buffer would be tried again at the end, and make another exit code.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
