"""The continuous integration: checks out a pushed commit and really runs its unit tests and its lint."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pilothouse.harbour.history import checkout

if TYPE_CHECKING:
    from pathlib import Path

JOBS: dict[str, tuple[str, ...]] = {
    "unit": ("-B", "-m", "unittest", "discover", "-s", "tests/unit", "-t", "."),
    "lint": ("-B", "tools/lint.py"),
}
CONTEXT = "ci/harbour"
MOST_SECONDS = 60
TAIL = 4000


class Board(Protocol):
    """Where the results are put up: the forge."""

    def queued(self, sha: str, name: str, branch: str) -> None:
        """Records a check run that waits."""

    def check(self, sha: str, name: str, status: str, conclusion: str | None, summary: str) -> None:
        """Records a check run's state."""

    def status(self, sha: str, context: str, state: str, description: str) -> None:
        """Records a commit status."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a job came to."""

    conclusion: str
    summary: str


class Integration:
    """One worker; commits wait in a queue."""

    def __init__(self, folder: Path, board: Board) -> None:
        self._folder, self._board = folder, board
        self._queue: queue.Queue[str] = queue.Queue()
        self._seen: set[str] = set()

    def submit(self, sha: str, branch: str) -> None:
        """Puts a commit into the queue, once."""
        if sha in self._seen:
            return
        self._seen.add(sha)
        for name in JOBS:
            self._board.queued(sha, name, branch)
        self._board.status(sha, CONTEXT, "pending", "queued")
        self._queue.put(sha)

    def settle(self) -> None:
        """Returns when nothing is queued or running."""
        self._queue.join()

    def work(self) -> None:
        """Runs what is queued, for ever; for a thread of its own."""
        while True:
            sha = self._queue.get()
            try:
                self.run(sha)
            except (OSError, subprocess.SubprocessError) as error:
                for name in JOBS:
                    self._board.check(sha, name, "completed", "failure", f"the runner broke: {error}")
                self._board.status(sha, CONTEXT, "error", "the runner broke")
            finally:
                self._queue.task_done()

    def run(self, sha: str) -> None:
        """Runs the jobs of one commit side by side and puts up their results."""
        tree = self._folder / "ci" / sha
        checkout(self._folder / "origin.git", sha, tree)
        for name in JOBS:
            self._board.check(sha, name, "in_progress", None, "")
        # The bare interpreter: what the conductor has installed must not make a test pass.
        started = {name: self._start(tree, job) for name, job in JOBS.items()}
        results = {name: self._result(process) for name, process in started.items()}
        for name, result in results.items():
            self._board.check(sha, name, "completed", result.conclusion, result.summary)
        red = [name for name, result in results.items() if result.conclusion != "success"]
        state, words = ("failure", f"failed: {', '.join(red)}") if red else ("success", "all checks passed")
        self._board.status(sha, CONTEXT, state, words)
        shutil.rmtree(tree, ignore_errors=True)

    @staticmethod
    def _start(tree: Path, job: tuple[str, ...]) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
        return subprocess.Popen(
            [sys.executable, "-S", *job],
            cwd=tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    @staticmethod
    def _result(process: subprocess.Popen[bytes]) -> Result:
        try:
            output, _ = process.communicate(timeout=MOST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Result("timed_out", f"ended after {MOST_SECONDS} seconds")
        return Result("failure" if process.returncode else "success", output.decode(errors="replace")[-TAIL:])
