"""An event loop whose time jumps to whatever comes next, instead of waiting for it.

Everything that waits on the loop follows: `Clock.sleep`, `asyncio.sleep`, `asyncio.timeout`,
`call_later`. What happens at one moment happens in the same order as on a real loop.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")

START = 1_800_000_000.0
"""The Unix time at which simulated time begins."""

_RESOLUTION = 1e-6


class StuckError(RuntimeError):
    """Nothing is ready and nothing is due: on a real loop this would wait for ever."""


class TimelapseLoop(asyncio.SelectorEventLoop):
    """An event loop in simulated time, for programs without sockets and threads.

    What would run in a thread runs at once, on the loop, and takes no time.
    """

    def __init__(self) -> None:
        self._selector_of_jumps = _JumpingSelector(self._jump)
        self._now = 0.0
        super().__init__(self._selector_of_jumps)
        # A timer that is due but for the rounding of floats must not cost another turn.
        self._clock_resolution = _RESOLUTION

    def time(self) -> float:
        """Simulated seconds since the start."""
        return self._now

    def run_in_executor(  # type: ignore[override]  # the future is done, and of this loop
        self, executor: Any, func: Callable[..., _Result], *args: Any
    ) -> asyncio.Future[_Result]:
        """Run a function now."""
        del executor
        future: asyncio.Future[_Result] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to the one who waits
            future.set_exception(error)
        return future

    def _jump(self, seconds: float) -> None:
        self._now += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: where nothing is ready, time jumps by as much as it was to wait."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            if timeout is None:
                raise StuckError("nothing is ready and nothing is due")
            if timeout > 0:
                self._jump(timeout)
        return found


class TimelapseClock:
    """The exporter's clock on that loop.

    Args:
        loop: whose time it shows.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        """The Unix time in seconds."""
        return START + self._loop.time()

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait; at once where `seconds` is not positive."""
        await asyncio.sleep(max(0.0, seconds))


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a program to its end in simulated time, as `asyncio.run` does in real time."""
    with asyncio.Runner(loop_factory=TimelapseLoop) as runner:
        return runner.run(main)
