"""Whose lease may be given back at once: that of a conductor which is known to be dead, and of nobody else."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from pilothouse.app import LEASE_SECONDS, Pilothouse, _room
from pilothouse.errors import RequestRefused

HOST = socket.gethostname()


@pytest.fixture
def app(tmp_path):
    opened = Pilothouse(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def dead():
    """A process id that nobody has."""
    with subprocess.Popen(["true"]) as ended:
        pass
    return ended.pid


def held_by(app, holder):
    app.journal.acquire("acme", holder, datetime.now(UTC).isoformat(timespec="microseconds"), LEASE_SECONDS)


def test_the_lease_of_a_conductor_that_died_here_is_given_back_at_once(app, dead):
    held_by(app, f"{HOST}:{dead}:7f00:{_room()}")
    with app._holding("acme") as lease:
        assert lease().holder.startswith(f"{HOST}:{os.getpid()}:")


@pytest.mark.parametrize(
    "holder",
    [
        "{host}:{dead}:7f00:{room}0",  # another pid namespace, or another boot
        "{host}:{dead}:7f00:",  # a conductor that could not tell
        "{host}:{dead}:7f00",  # as older versions wrote it
        "elsewhere:{dead}:7f00:{room}",
        "{host}:{alive}:7f00:{room}",
        "{host}:x:7f00:{room}",
        "nonsense",
    ],
)
def test_a_holder_that_may_be_alive_keeps_its_lease(app, dead, holder):
    held_by(app, holder.format(host=HOST, dead=dead, alive=os.getpid(), room=_room()))
    with pytest.raises(RequestRefused) as refused, app._holding("acme"):
        raise AssertionError("taken over")
    assert refused.value.reason_code == "product-busy"


def test_a_conductor_says_where_it_runs(app):
    with app._holding("acme") as lease:
        assert lease().holder.startswith(f"{HOST}:{os.getpid()}:")
        assert lease().holder.endswith(f":{_room()}")
        assert _room()


def test_a_container_with_the_hosts_name_is_another_room():
    unshare = shutil.which("unshare")
    if sys.platform != "linux" or unshare is None:
        pytest.skip("only Linux has pid namespaces")
    argv = [
        unshare,
        "--pid",
        "--fork",
        "--mount-proc",
        sys.executable,
        "-c",
        "from pilothouse.app import _room; print(_room())",
    ]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True)
    if "Operation not permitted" in done.stderr:
        pytest.skip("this account may make no pid namespace")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) == len(_room())
    assert done.stdout.strip() != _room()
    again = subprocess.run(argv[argv.index(sys.executable) :], env=environ, capture_output=True, text=True)
    assert again.stdout.strip() == _room()  # another process of the same namespace
