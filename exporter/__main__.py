"""`python -m exporter` is the cli `azure-vmss-exporter`."""

from __future__ import annotations

import gc
import sys

from exporter.runtime.signals import Signals


def main() -> int:
    """Run the cli, with its signals caught before anything else is imported.

    Objects made during a start are kept, so the garbage collector would only slow it down; the
    daemon enables it once it serves.
    """
    gc.disable()
    signals = Signals()
    signals.catch()

    from exporter import cli  # noqa: PLC0415 - see above

    try:
        return cli.main(signals=signals)
    finally:
        signals.ignore()


if __name__ == "__main__":
    sys.exit(main())
