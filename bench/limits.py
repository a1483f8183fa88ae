"""Read limits that nobody reaches.

The benches' simulated Azure has them. The exporter begins with those that are documented, and
believes larger ones slowly: the benches would measure its waiting, so it is told at its start.
"""

from __future__ import annotations

from exporter.azure import operation

WIDE = 10_000_000
"""What every bucket holds, and what flows back in a minute."""


def believe_in_wide_limits() -> None:
    """Take them for the documented ones, in this process."""
    for call in operation.OPERATIONS:
        object.__setattr__(call, "requests", call.requests._replace(capacity=WIDE))
        if call.views is not None:
            object.__setattr__(call, "views", call.views._replace(capacity=WIDE))
