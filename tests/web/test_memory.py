"""Freed memory goes back to the system, where the C library can give it back."""

from __future__ import annotations

import ctypes
from unittest.mock import Mock

import pytest

from exporter.web.memory import give_back


def test_all_freed_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Mock()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    give_back()
    library.malloc_trim.assert_called_once_with(0)


def test_a_c_library_that_cannot_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    give_back()
