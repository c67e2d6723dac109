"""Worlds for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harbour.eyes import Eyes, Up
from pilothouse import harbour


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Makes a world in the test's folder, with faults where they are named."""
    folder = tmp_path / "w"

    def make(*faults: str, watch_seconds: float = 4) -> Eyes:
        return Eyes(harbour.up(folder, faults=faults, watch_seconds=watch_seconds))

    yield make
    if (folder / "harbour.json").exists():
        harbour.down(folder)


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eyes]:
    """One world for all tests that only look."""
    folder = tmp_path_factory.mktemp("calm")
    yield Eyes(harbour.up(folder))
    harbour.down(folder)
