"""The exporter, told at its start that limits are wide: `python -m bench.exporter FLAGS`."""

from __future__ import annotations

import sys

from bench.limits import believe_in_wide_limits
from exporter.__main__ import main

if __name__ == "__main__":
    believe_in_wide_limits()
    sys.exit(main())
