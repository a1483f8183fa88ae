"""Cooperative scheduling: long work yields between chunks, and scrapes take priority.

Every poll does its work in chunks of some milliseconds. But a loop runs all that is ready before
it looks at its sockets again: sixteen polls with a page each are sixteen chunks in a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeVar

_Piece = TypeVar("_Piece")

PRECEDENCE = 0.25
"""Seconds for which an answer goes first: a slow client must not hold the polls up."""

PATIENCE = 0.1
"""Seconds that a chunk waits for answers, however many come one after the other."""


class CooperativeScheduler:
    """Chunks of work run one at a time, and scrapes come first."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._answers: set[object] = set()
        self._no_answers = asyncio.Event()
        self._no_answers.set()

    @asynccontextmanager
    async def chunk(self) -> AsyncIterator[None]:
        """Wait until no other chunk runs; other tasks run before the next one."""
        async with self._lock:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._no_answers.wait()
            yield
            await asyncio.sleep(0)

    async def next(self, pieces: Iterator[_Piece]) -> _Piece | None:
        """The next of some pieces, whose making is a chunk; None after the last."""
        async with self.chunk():
            return next(pieces, None)

    async def run(self, steps: Iterator[object]) -> None:
        """Run all steps, each as a chunk of its own."""
        more = True
        while more:
            async with self.chunk():
                more = next(steps, self) is not self

    @contextmanager
    def answer(self) -> Iterator[None]:
        """Answer a client: chunks wait for the end of it, but not for long."""
        answer = object()
        self._answers.add(answer)
        self._no_answers.clear()
        timer = asyncio.get_running_loop().call_later(PRECEDENCE, self._end, answer)
        try:
            yield
        finally:
            timer.cancel()
            self._end(answer)

    def _end(self, answer: object) -> None:
        self._answers.discard(answer)
        if not self._answers:
            self._no_answers.set()
