"""What the checks of a commit came to, as the forge reports it: the runs that CI recorded, and the faults on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.harbour.ci import CONTEXT

if TYPE_CHECKING:
    from pilothouse.harbour.faults import Switches
    from pilothouse.harbour.forge.store import Row, Store

FAULTY = "unit"
BAD = {"failure", "timed_out", "cancelled", "action_required", "startup_failure"}


class Results:
    """Reads check runs and commit statuses."""

    def __init__(self, store: Store, switches: Switches) -> None:
        self._store, self._switches = store, switches

    def checks(self, sha: str) -> list[Row]:
        """The check runs of a commit."""
        return [self._altered(row) for row in self._store.rows("SELECT * FROM checks WHERE sha = ? ORDER BY id", sha)]

    def check(self, number: int) -> Row | None:
        """One check run."""
        row = self._store.row("SELECT * FROM checks WHERE id = ?", number)
        return self._altered(row) if row else None

    def all_checks(self) -> list[Row]:
        """The check runs of all commits, newest first."""
        return [self._altered(row) for row in self._store.rows("SELECT * FROM checks ORDER BY id DESC")]

    def run(self, sha: str) -> int:
        """The number of a commit's workflow run: that of its first check run; 0 where there is none."""
        row = self._store.row("SELECT min(id) AS id FROM checks WHERE sha = ?", sha)
        return int(row["id"] or 0) if row else 0

    def statuses(self, sha: str) -> list[Row]:
        """The commit statuses, the newest first."""
        rows = self._store.rows("SELECT * FROM statuses WHERE sha = ? ORDER BY id DESC", sha)
        on = self._switches.on()
        for row in rows[:1]:
            if "ci-red" in on and row["context"] == CONTEXT:
                row |= {"state": "failure", "description": f"failed: {FAULTY}"}
            elif "ci-pending" in on and row["context"] == CONTEXT:
                row |= {"state": "pending", "description": "running"}
        return rows

    def current(self, sha: str) -> list[Row]:
        """The newest status of each context."""
        found: dict[str, Row] = {}
        for row in self.statuses(sha):
            found.setdefault(row["context"], row)
        return list(found.values())

    def _altered(self, row: Row) -> Row:
        on = self._switches.on()
        if row["name"] != FAULTY:
            return row
        if "ci-pending" in on:
            return row | {"status": "in_progress", "conclusion": None, "completed": None, "summary": ""}
        if "ci-red" in on and row["status"] == "completed":
            return row | {"conclusion": "failure", "summary": "FAILED (failures=1)"}
        return row

    def combined(self, sha: str) -> str:
        """The state of all statuses together, as REST reports it."""
        states = {row["state"] for row in self.current(sha)}
        if states & {"failure", "error"}:
            return "failure"
        return "success" if states == {"success"} else "pending"

    def rollup(self, sha: str) -> str:
        """The state of checks and statuses together, as GraphQL reports it; empty where there are none."""
        checks, states = self.checks(sha), {row["state"] for row in self.current(sha)}
        conclusions = {row["conclusion"] for row in checks}
        if not checks and not states:
            return ""
        if conclusions & BAD or states & {"failure", "error"}:
            return "FAILURE"
        if None in conclusions or "pending" in states:
            return "PENDING"
        return "SUCCESS"
