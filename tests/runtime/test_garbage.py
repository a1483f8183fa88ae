"""The garbage collector is away for a while, and then as it was before."""

from __future__ import annotations

import gc

import pytest

from exporter.runtime.garbage import without_collections


@pytest.mark.parametrize("change", [gc.enable, gc.disable])
def test_it_is_as_before(change) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    enabled = gc.isenabled()
    change()
    before = gc.isenabled()
    with without_collections():
        assert not gc.isenabled()
    assert gc.isenabled() is before
    (gc.enable if enabled else gc.disable)()
