"""A remote and machines that share nothing but it: folders of their own, each with a clone and a local ledger."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pilothouse.ledger.gitjournal import GitJournal
from pilothouse.ledger.sqlite import SqliteJournal
from pilothouse_tools.carrier import GitCarrier
from pilothouse_tools.scratch import Scratch, Signature

NAME = Signature("Pilothouse", "pilothouse@localhost", "2026-11-21T09:41:00+00:00")


def git(folder: Path, *argv: str) -> str:
    """One plain git command, as an outsider gives it."""
    return subprocess.run(["git", *argv], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


class Quay:
    """A bare remote below a folder, and machines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remote = folder / "origin.git"
        git(folder, "init", "--quiet", "--bare", str(self.remote))

    def disk(self, name: str) -> Path:
        """A machine's folder with a fresh clone in it."""
        disk = self.folder / name
        if not disk.exists():
            disk.mkdir()
            git(disk, "init", "--quiet", "clone")
            git(disk / "clone", "remote", "add", "origin", str(self.remote))
        return disk

    def carrier(self, name: str) -> GitCarrier:
        """A machine's carrier."""
        disk = self.disk(name)
        home = disk / "home"
        home.mkdir(exist_ok=True)
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home)}
        return GitCarrier(Scratch(disk / "clone", "origin", disk / "scratch", environ, NAME))

    def machine(self, name: str) -> GitJournal:
        """A machine's journal, as a new process opens it."""
        return GitJournal(SqliteJournal(self.disk(name) / "ledger.db"), self.carrier(name), fresh=0.0)
