"""The command: exit codes, and the errors of a start.

What a flag does not need is not imported for it: `--version` and a wrong flag are answered at
once, and `--config.check` without any HTTP or identity library.
"""

from __future__ import annotations

from collections.abc import Sequence

from exporter.flags import parse
from exporter.runtime.signals import Signals

GOOD, FAILED, BAD_INPUT = 0, 1, 2


def main(arguments: Sequence[str] | None = None, *, signals: Signals | None = None) -> int:
    """Run the command; the result is the process's exit code.

    0 is a clean end, 1 a failed `--once` or a fault while running, 2 a bad flag or
    configuration.

    Args:
        arguments: the flags; those of the process if None.
        signals: catches the signals; None for no handling.
    """
    flags = parse(arguments)
    signals = signals or Signals()
    if flags.config_check or flags.once:
        # Interrupted, these have not done what their exit code 0 tells.
        signals.unfinished = FAILED
    if flags.config_check:
        from exporter.checking import check_file  # noqa: PLC0415 - see above

        checked = check_file(flags.config_file, flags.subscriptions)
        if checked != GOOD or not flags.estimate:
            return checked
    from exporter.running import start  # noqa: PLC0415 - see above

    return start(flags, signals)
