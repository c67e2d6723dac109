"""The conductor's own environment holds every credential: no child may read it there (I7).

What a process was started with is in /proc/PID/environ, which any process of the same user may read, and a child of
ours runs the repository's code as the same user. A process that is not *dumpable* is closed to its own user: prctl(2),
PR_SET_DUMPABLE, and proc(5) on "ptrace access mode". The mark is the process's: a child gets its own with exec, so its
files under /proc are readable as always.

What this cannot do: keep root (or CAP_SYS_PTRACE) out, or close other processes of the same user that hold the same
variables, such as the shell from which the conductor was started.
"""

from __future__ import annotations

import sys
from functools import lru_cache

_PR_SET_DUMPABLE = 4
_PR_GET_DUMPABLE = 3


@lru_cache(maxsize=1)
def close_to_children() -> bool:
    """Close this process's memory and environment to others of the same user; True where that worked.

    Linux alone has it; elsewhere (macOS) nothing happens. Called before the first child starts; again costs nothing.
    """
    if sys.platform != "linux":
        return False
    import ctypes  # only a command that starts children pays for it

    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return False
    return bool(prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 and prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
