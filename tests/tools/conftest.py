"""A small real world for the tools: a bare remote, a user's clone, and an environment that answers over HTTP."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pilothouse.canonical import digest
from pilothouse.model import Permit
from pilothouse.settings import (
    Deploy,
    Environment,
    Forge,
    Health,
    Notice,
    Product,
    Readiness,
    Rollback,
    VersionFile,
    Versioning,
)
from pilothouse_tools.context import Context
from pilothouse_tools.toolbox import Toolbox

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "prompts").glob("*.j2")}
STARTED = "2026-11-21T09:00:00Z"
CHANGELOG = """# Changelog

## [Unreleased]

### Added

- Saved filters (#12)

### Fixed

- Empty search (#13)

## [1.3.0] - 2026-10-01

### Added

- Search

[Unreleased]: https://forge.test/harbour/acme/compare/v1.3.0...HEAD
[1.3.0]: https://forge.test/harbour/acme/compare/v1.2.0...v1.3.0
"""


class RealClock:
    """Time as it is."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Served:
    """An environment: it answers what `state` says, or follows a branch of the remote like a platform does."""

    def __init__(self, origin: Path) -> None:
        self.origin = origin
        self.branch = ""
        self.version, self.sha, self.status = "1.3.0", "", 200
        self.pages: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        self.stuck = False
        self.hits: list[tuple[str, str]] = []
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                world.hits.append((self.path, self.headers["Host"]))
                code, body, headers = world.answer(self.path)
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        if path in self.pages:
            return self.pages[path]
        if self.branch and not self.stuck:
            done = subprocess.run(["git", "rev-parse", self.branch], cwd=self.origin, capture_output=True, text=True)
            if done.returncode == 0:
                self.sha = done.stdout.strip()
                shown = subprocess.run(
                    ["git", "show", f"{self.sha}:package.json"], cwd=self.origin, capture_output=True
                )
                self.version = json.loads(shown.stdout)["version"]
        if path == "/version":
            return 200, json.dumps({"version": self.version, "sha": self.sha}).encode(), {}
        if path == "/health":
            return self.status, json.dumps({"status": "ok" if self.status == 200 else "failing"}).encode(), {}
        return 404, b"", {}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Small:
    """The world, and short ways to look at it with plain git."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origin, self.clone = folder / "origin.git", folder / "clone"
        self.git_env = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@acme.test", "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@acme.test", "GIT_AUTHOR_DATE": "2026-11-01T10:00:00Z",
            "GIT_COMMITTER_DATE": "2026-11-01T10:00:00Z",
        }  # fmt: skip
        self.git("init", "-q", "--bare", "-b", "main", str(self.origin), cwd=folder)
        self.git("clone", "-q", str(self.origin), str(self.clone), cwd=folder)
        self.git("checkout", "-q", "-b", "main", cwd=self.clone)
        self.released = self.commit("chore: start", {
            "CHANGELOG.md": CHANGELOG, "package.json": '{\n  "name": "acme",\n  "version": "1.3.0"\n}\n',
            "app/version.py": '__version__ = "1.3.0"\n', "run.sh": "#!/bin/sh\n",
        })  # fmt: skip
        self.push("main")
        self.served = Served(self.origin)
        self.environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "SECRET_OF_THE_CONDUCTOR": "do-not-pass-on"}
        self.product = Product(
            name="acme", title="Acme", path=".", remote="origin", base="main",
            forge=Forge("github", "harbour/acme", ("GH_TOKEN",), ("GH_CONFIG_DIR", "GH_HOST")),
            versioning=Versioning(files=(
                VersionFile("package.json"), VersionFile("app/version.py", '__version__ = "(.*)"'),
            )),
            readiness=Readiness(), suites={}, not_verified=(),
            environments={name: self.environment(name) for name in ("staging", "production")},
            drift_ignore=(), watch=None, rollback=Rollback(), delete_branch=True,
            notify=(Notice("console"), Notice("file", ".pilothouse/notices.jsonl")),
        )  # fmt: skip

    def environment(self, name: str, **changes: object) -> Environment:
        health = Health("/health", "/version", times=3, every=0.01, timeout=2.0, deadline=20.0, allow_private=True)
        made = Environment(name, self.served.url, Deploy("push", f"deploy/{name}", timeout=1.0), health)
        return replace(made, **changes)

    def git(self, *arguments: str, cwd: Path | None = None, check: bool = True) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=cwd or self.clone, env=self.git_env, capture_output=True, text=True
        )
        if check and done.returncode:
            raise AssertionError(f"git {arguments}: {done.stderr}")
        return done.stdout.strip()

    def commit(self, message: str, files: dict[str, str] | None = None) -> str:
        """A commit on the clone's current branch, as a developer makes it."""
        for path, content in (files or {}).items():
            target = self.clone / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, branch: str, to: str = "") -> None:
        self.git("push", "-q", "origin", f"{branch}:refs/heads/{to or branch}")

    def head(self, branch: str) -> str:
        return self.git("rev-parse", "-q", "--verify", f"refs/heads/{branch}", cwd=self.origin, check=False)

    def hook(self, name: str, script: str) -> None:
        """A hook of the remote; an empty script takes it away."""
        file = self.origin / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        if script:
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)
        else:
            file.unlink(missing_ok=True)

    def context(self, product: Product | None = None, *, scratch: str = "scratch", **changes: object) -> Context:
        values = {
            "product": product or self.product, "project": self.clone, "environ": self.environ, "clock": RealClock(),
            "templates": TEMPLATES, "scratch": self.folder / scratch, "run_id": "r-1", "started_at": STARTED,
        }  # fmt: skip
        return Context(**{**values, **changes})

    def toolbox(self, product: Product | None = None, **changes: object) -> Toolbox:
        return Toolbox(self.context(product, **changes))

    def untouched(self) -> dict[str, str]:
        """Every file of the clone, its .git included, by digest: equal before and after is byte for byte."""
        return {
            str(file.relative_to(self.clone)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(self.clone.rglob("*"))
            if file.is_file() and ".pilothouse" not in file.parts
        }


def permit(tool: str, arguments: dict[str, object], key: str = "k-1") -> Permit:
    return Permit("r-1", "step", tool, digest(arguments), "p" * 64, None, "main", key)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    world = Small(tmp_path)
    yield world
    world.served.close()


@pytest.fixture(scope="session")
def still(tmp_path_factory) -> Iterator[Small]:
    """A world that nobody changes."""
    world = Small(tmp_path_factory.mktemp("still"))
    yield world
    world.served.close()


@pytest.fixture(scope="session")
def real_clock() -> RealClock:
    return RealClock()


@pytest.fixture
def do():
    """Probe, apply and verify an act like the engine does; answers the presences seen and the last probe."""

    def perform(box: Toolbox, tool: str, arguments: dict[str, object], key: str = "k-1"):
        before = box.probe(tool, arguments, key)
        box.apply(tool, arguments, permit(tool, arguments, key))
        return before, box.verify(tool, arguments, key)

    return perform


@pytest.fixture
def allow():
    """Makes permits."""
    return permit
