"""A child runs the repository's code as the conductor's own user, and cannot read the conductor's environment."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from pilothouse_tools import child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc and a process's dumpable mark")
SECRET = "held-by-the-conductor-alone"

# A conductor: it holds a credential, and starts a child that looks for it where a hostile test suite would.
CONDUCTOR = """
import ctypes, os, subprocess, sys
from pathlib import Path
from pilothouse_tools import child
if os.geteuid() == 0:  # root may read everything: the work is done as somebody else
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    assert ctypes.CDLL(None).prctl(4, 1, 0, 0, 0) == 0  # a change of user closes a process, too: open it for the proof
before = subprocess.run(["/bin/cat", f"/proc/{os.getpid()}/environ"], capture_output=True)
suite = "cat /proc/$PPID/environ; cat /proc/[0-9]*/environ; head -c 1 /proc/$PPID/mem; ls -l /proc/$PPID/fd"
after = child.run(["/bin/sh", "-c", suite], cwd=Path("/"), env={"PATH": os.environ["PATH"]}, timeout=20)
held = os.environ["CREDENTIAL"].encode()
print(held in before.stdout, held in after.stdout + after.stderr, b"environ: Permission denied" in after.stderr)
"""


def test_a_child_of_the_same_user_cannot_read_what_the_conductor_holds():
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "CREDENTIAL": SECRET}
    argv = [sys.executable, "-c", CONDUCTOR]
    done = subprocess.run(argv, env=environ, cwd="/", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    # Open to a child before, closed to a guarded one.
    assert done.stdout.split() == ["True", "False", "True"]


def test_a_process_that_starts_a_child_is_not_dumpable_and_its_child_is(tmp_path):
    dumpable = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    done = child.run([sys.executable, "-c", dumpable], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, timeout=20)
    assert done.stdout == b"1\n"  # nothing is taken from the child: its own tools work as always
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0


def test_the_guardian_holds_nothing(tmp_path):
    # The leader of the child's process group is the guardian; it has no environment at all.
    script = "cat /proc/$(ps -o pgid= -p $$ | tr -d ' ')/environ | wc -c; ps -o args= -p $(ps -o pgid= -p $$)"
    done = child.run(
        ["/bin/sh", "-c", script], cwd=tmp_path, env={"PATH": os.environ["PATH"], "HELD": SECRET}, timeout=20
    )
    size, _, what = done.stdout.decode().strip().partition("\n")
    assert size.strip() == "0"
    assert what.startswith("/bin/sh -c trap")
