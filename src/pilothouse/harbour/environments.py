"""Staging and production: a checkout of the deployed commit, served for real, with a little traffic on it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pilothouse.harbour.berth import SPARED
from pilothouse.harbour.faults import Switches
from pilothouse.harbour.history import checkout

RATES = {"staging": 5.0, "production": 25.0}  # requests a second
PAGES = ("/", "/items", "/items?q=anchor")
THIN = 250  # of so many customers of production one comes, where traffic is thin
START_SECONDS = 10
DRAIN_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Deployment:
    """One try to put a commit into an environment, as a line of deployments.jsonl."""

    environment: str
    sha: str
    version: str
    state: str
    detail: str
    at: str
    seconds: float

    def __str__(self) -> str:
        if self.state != "success":
            return f"deployment to {self.environment} FAILED: {self.detail}"
        return f"deployed {self.version} ({self.sha[:7]}) to {self.environment} in {self.seconds} s"


class DeploymentFailed(Exception):
    """The new version does not run; the old one still does."""


@dataclass(slots=True)
class _Berthed:
    """A running version."""

    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, argv: list[str], environment: dict[str, str], fd: int, log: Path) -> _Berthed:
        """Starts it, and returns when it has loaded."""
        with log.open("ab") as stream:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=environment,
                pass_fds=[fd],
                cwd=log.parent,
            )
        berthed = cls(process)
        # A version that hangs while it loads is ended, which ends the reading below.
        watchdog = threading.Timer(START_SECONDS, process.kill)
        watchdog.start()
        ready = berthed._pipe(process.stdout).readline()
        watchdog.cancel()
        if ready != b"ready\n":
            berthed.end()
            raise DeploymentFailed(f"the new version did not start; see {log.name}")
        return berthed

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None, "both ends are opened in start()"
        return pipe

    def serve(self) -> None:
        """Lets it answer."""
        stdin = self._pipe(self.process.stdin)
        stdin.write(b"serve\n")
        stdin.flush()

    def end(self) -> None:
        """Lets it finish what it answers, and ends it."""
        with suppress(OSError):
            self._pipe(self.process.stdin).close()
        try:
            self.process.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._pipe(self.process.stdout).close()


class Environment:
    """One environment; the supervisor's threads call it.

    Args:
        folder: DIR/staging or DIR/production.
        listening: the bound socket at the environment's address; it outlives the versions behind it.
        migrates: whether the platform brings the database up to each version before it serves it.
    """

    def __init__(self, folder: Path, listening: socket.socket, *, migrates: bool) -> None:
        self.name, self.folder, self._listening, self._migrates = folder.name, folder, listening, migrates
        self._switches = Switches(folder.parent / "faults.json")
        self._current: _Berthed | None = None
        self._turn = threading.Lock()

    @property
    def deployed(self) -> list[str]:
        """The commits that were put here, oldest first."""
        file = self.folder / "deployments.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [entry["sha"] for entry in map(json.loads, lines) if entry["state"] == "success"]

    @property
    def process(self) -> int:
        """The process that serves the running version; 0 where none does."""
        current = self._current
        return current.process.pid if current else 0

    def running(self) -> dict[str, str]:
        """Which commit runs here and what version it says it is, once the deployments asked for before are done."""
        with self._turn:
            return dict(json.loads(self._get("/version").partition(b"\r\n\r\n")[2]))

    def deploy(self, sha: str) -> Deployment:
        """Puts a commit here; the old version answers until the new one is loaded, and for good where that fails."""
        with self._turn:
            began = time.monotonic()
            state, detail, version = "success", "", ""
            release = self.folder / "releases" / sha
            try:
                checkout(self.folder.parent / "origin.git", sha, release)
                version = json.loads((release / "package.json").read_text(encoding="utf-8"))["version"]
                self._refuse(version)
                if self._migrates:
                    self._migrate(release)
                self._replace(sha, release)
            except (DeploymentFailed, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
                state, detail = "failure", str(error)
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            done = Deployment(self.name, sha, version, state, detail, now, round(time.monotonic() - began, 3))
            with (self.folder / "deployments.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(done)) + "\n")
            return done

    def _refuse(self, version: str) -> None:
        """The platform's own failures."""
        on, before = self._switches.on(), self.deployed
        if f"{self.name}-deploy-fails" in on and version != SPARED:
            raise DeploymentFailed("no capacity: the platform could not place the new version")
        if self.name == "production" and "rollback-fails" in on and before and version == SPARED:
            raise DeploymentFailed("the platform no longer has the artefact of this version")

    def _migrate(self, release: Path) -> None:
        """What the version needs of its database, done with the version's own means."""
        pending = json.loads(self._manage(release, "pending"))["pending"]
        if pending:
            self._manage(release, "migrate", *(migration["name"] for migration in pending))

    def _manage(self, release: Path, *arguments: str) -> bytes:
        environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            f"ACME_{self.name.upper()}_DB": str(self.folder / "app.db"),
        }
        argv = [sys.executable, "-BS", "app/manage.py", *arguments]
        done = subprocess.run(argv, cwd=release, env=environment, capture_output=True, timeout=60, check=False)
        if done.returncode:
            raise DeploymentFailed(f"the database was not migrated: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def _replace(self, sha: str, release: Path) -> None:
        script = Path(__file__).with_name("berth.py")
        fd = self._listening.fileno()
        argv = [sys.executable, "-IBS", str(script), str(release), str(self.folder / "app.db")]
        argv += [str(self._switches.file), str(fd), self.name]
        environment = {"PATH": os.defpath, "ACME_SHA": sha, "LANG": "C.UTF-8"}
        fresh = _Berthed.start(argv, environment, fd, self.folder / "app.log")
        # First the old one drains, then the new one serves: answers never go back and forth between versions, and
        # what arrives in between waits in the socket's queue.
        if self._current:
            self._current.end()
        fresh.serve()
        self._current = fresh
        self._expect(sha)

    def _expect(self, sha: str) -> None:
        head, _, body = self._get("/version").partition(b"\r\n\r\n")
        if b" 200 " not in head or json.loads(body)["sha"] != sha:
            raise DeploymentFailed("the new version does not answer at the environment's address")

    def _get(self, page: str) -> bytes:
        with socket.create_connection(self._listening.getsockname(), timeout=5) as line:
            line.sendall(f"GET {page} HTTP/1.0\r\nHost: {self.name}.acme.test\r\n\r\n".encode())
            return b"".join(iter(lambda: line.recv(65536), b""))

    def traffic(self, ended: threading.Event) -> None:
        """Customers who look at the shop, until the event is set."""
        pause, number = 1 / RATES[self.name], 0
        while not ended.wait(pause):
            number += 1
            if self.name == "production" and number % THIN and "thin-traffic" in self._switches:
                continue
            with suppress(OSError):
                self._get(PAGES[number % len(PAGES)])

    def end(self) -> None:
        """Ends the running version."""
        with self._turn:
            if self._current:
                self._current.end()
                self._current = None
