"""Small real worlds for tests: git, gh, HTTP services, SQLite. Nothing of ours is replaced."""

from __future__ import annotations

import os
import signal
import socket
from datetime import UTC, datetime, timedelta

import pytest

# A job that was started in the background ignores interrupts, and so would everything that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


class SteppingClock:
    """Time that moves a millisecond a look and as long as was slept: the same run has the same times."""

    def __init__(self, start=datetime(2026, 11, 21, 9, 0, tzinfo=UTC)):
        self.start, self.ticks, self.slept = start, 0, 0.0

    def now(self):
        self.ticks += 1
        return self.start + timedelta(milliseconds=self.ticks, seconds=self.slept)

    def sleep(self, seconds):
        import time

        time.sleep(max(0.0, seconds))
        self.slept += max(0.0, seconds)


@pytest.fixture
def clock():
    return SteppingClock()


@pytest.fixture(scope="session")
def ports():
    """Two ports that belong to this test process: worlds one after another have the same addresses, so the same shas."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw") or 0)
    for first in range(21000 + worker * 200, 21000 + worker * 200 + 200, 2):
        try:
            for port in (first, first + 1):
                with socket.create_server(("127.0.0.1", port)):
                    pass
        except OSError:
            continue
        return first, first + 1
    raise AssertionError("no free ports")


@pytest.fixture
def harbour(tmp_path, ports, monkeypatch):
    """Call it to get a running sandbox world; it is ended with the test."""
    from pilothouse import harbour as sandbox

    built = []

    def build(*faults, watch_seconds=2.0, **options):
        folder = tmp_path / f"world{len(built)}"
        world = sandbox.up(folder, faults=faults, watch_seconds=watch_seconds, ports=ports, **options)
        built.append(world)
        return world

    yield build
    for world in built:
        sandbox.down(world.folder)


@pytest.fixture
def conduct(clock):
    """Open a world's project as a conductor would."""
    from pilothouse.app import Pilothouse

    opened = []

    def open_project(world, **options):
        environ = {**os.environ, **world.environment}
        app = Pilothouse(world.project, environ=environ, clock=options.pop("clock", clock), **options)
        opened.append(app)
        return app

    yield open_project
    for app in opened:
        app.close()
