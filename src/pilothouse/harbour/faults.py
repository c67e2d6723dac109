"""The switches of the sandbox: what can go wrong, and which of it does at the moment.

The switches lie in DIR/faults.json, one `"name": true|false` a line: the supervisor, the served application and the
shell hooks read the file at the moment of use, so that a test may turn a switch at any time.
"""

from __future__ import annotations

import fcntl
import json
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pilothouse.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FAULTS: dict[str, str] = {
    "ci-red": "The check `unit` and the commit status are reported as failed, for every commit.",
    "ci-pending": "The check `unit` and the commit status are reported as still running, for every commit.",
    "tests-red": "Main ends with a commit whose end-to-end tests fail; unit tests and lint pass (only at `up`).",
    "staging-deploy-fails": "A deployment to staging of any version but 1.3.0 fails; the old version keeps answering.",
    "production-deploy-fails": "A deployment to production of any version but 1.3.0 fails; the old version answers on.",
    "production-unhealthy": "Any version but 1.3.0 answers 503 on production's /health.",
    "production-errors": "A second after its start, any version but 1.3.0 fails every seventh request on production.",
    "thin-traffic": "Hardly anybody visits production: one customer in ten seconds.",
    "rollback-fails": "A deployment of 1.3.0 to production fails (switch it on with another fault).",
    "migration-fails": "Production's schema has drifted: migration 0007 fails half-way inside its transaction.",
    "unexpected-migration": "Migration 0006, which is not in the released range, is pending on production.",
    "backup-fails": "A backup of production ends well but is a file of zero bytes.",
    "disk-full": "The volume for production's backups is full: writing ends with ENOSPC.",
    "main-diverged": (
        "Somebody pushes to main while production's backup runs; in a world of promotions, as soon as the switch is"
        " turned (once)."
    ),
    "main-moves-after-deploy": "Somebody pushes a harmless commit to main after a deployment to production (once).",
    "main-conflicts-after-deploy": (
        "Somebody pushes a commit to main right after a deployment to production that conflicts with the release's"
        " changelog (once)."
    ),
    "tag-conflict": "The tag v1.4.0 already exists in the remote, on another commit.",
    "forge-500": "Every answer of the forge's API is a 500.",
    "forge-slow": "Every answer of the forge's API takes 0.7 seconds longer.",
    "reply-lost": "A push that deploys production lands, but the pusher's connection dies unanswered (once).",
    "effect-late": "The connection of a push that deploys production dies, and it lands 1.5 seconds later (once).",
    "archive-missing": "Pull request #235 has no archive on compliance-archives (promotions only).",
    "ticket-missing": "Ticket ACME-109 does not exist in Linear (promotions only).",
    "linear-down": "The Linear MCP server does not answer (promotions only).",
}
AT_UP_ONLY = frozenset({"tests-red"})
PROMOTION_ONLY = frozenset({"archive-missing", "ticket-missing", "linear-down"})


@dataclass(frozen=True, slots=True)
class Switches:
    """The file of switches of one world."""

    file: Path

    def on(self) -> frozenset[str]:
        """The faults that are on now."""
        try:
            return frozenset(name for name, on in json.loads(self.file.read_text(encoding="utf-8")).items() if on)
        except FileNotFoundError:
            return frozenset()

    def __contains__(self, name: str) -> bool:
        return name in self.on()

    def turn(self, names: Iterable[str], *, on: bool) -> None:
        """Turns switches; a reader sees the file before or after, never between."""
        with self.file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            states = dict.fromkeys(FAULTS, False) | dict.fromkeys(self.on(), True) | dict.fromkeys(names, on)
            fresh = self.file.with_suffix(".new")
            fresh.write_text(json.dumps(states, indent=1) + "\n", encoding="utf-8")
            fresh.replace(self.file)

    def spend(self, name: str) -> bool:
        """Turns a fault that happens once off; True for the one who got it."""
        with self.file.with_suffix(".once").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if name not in self:
                return False
            self.turn([name], on=False)
            return True


def known(names: Iterable[str], layout: str = "release") -> frozenset[str]:
    """The names as a set.

    Args:
        names: what is to go wrong.
        layout: of the world in which it is to.

    Raises:
        UsageError: `unknown-fault`, with the nearest name as a hint; `fault-not-here`: of another layout's worlds.
    """
    wanted = frozenset(names)
    if unknown := sorted(wanted - FAULTS.keys()):
        near = get_close_matches(unknown[0], FAULTS, 1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(FAULTS)}"
        raise UsageError("unknown-fault", f"no fault is called {unknown[0]}", hint)
    if layout != "promotion" and (elsewhere := sorted(wanted & PROMOTION_ONLY)):
        message = f"{elsewhere[0]} can only happen where a staging branch is promoted"
        hint = f"Try it there: pilothouse demo --workflow promote-audited --fault {elsewhere[0]}"
        raise UsageError("fault-not-here", message, hint)
    return wanted
