"""Eyes that look at a world from outside: git, gh, HTTP, the operator's commands."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilothouse import harbour

MANAGE = "app/manage.py"
NEW = "0007_item_labels"


@dataclass(frozen=True)
class Eyes:
    """Looks at one world."""

    world: harbour.World

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.world.folder), "GIT_CONFIG_NOSYSTEM": "1", **self.world.environment}

    def run(self, *argv: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=cwd or self.world.project,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def git(self, *arguments: str) -> str:
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def gh(self, *arguments: str) -> str:
        done = self.run("gh", *arguments, cwd=self.world.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def gh_json(self, *arguments: str) -> Any:
        return json.loads(self.gh(*arguments))

    def remote(self, ref: str) -> str:
        """What a ref of the remote names, empty where there is none."""
        return self.git("ls-remote", "origin", ref).partition("\t")[0]

    def get(self, environment: str, path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(self.world.urls[environment] + path, timeout=5) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read().decode()
        return status, json.loads(text) if path in {"/version", "/health", "/items"} else text

    def deployed(self, environment: str) -> str:
        version = self.get(environment, "/version")[1]
        return f"{version['version']} {version['sha']}"

    def manage(self, environment: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs manage.py as the conductor does: with the one variable of the environment."""
        variable = f"ACME_{environment.upper()}_DB"
        kept = {"PATH": self.world.environment["PATH"], variable: self.world.environment[variable]}
        argv = [sys.executable, MANAGE, *arguments]
        return subprocess.run(argv, cwd=self.world.project, env=kept, capture_output=True, text=True, check=False)

    def probe(self, environment: str, *arguments: str) -> dict[str, Any]:
        done = self.manage(environment, *arguments)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def release(self, version: str = "1.4.0") -> str:
        """A release branch as a conductor makes it, pushed; returns its sha."""
        self.git("checkout", "-q", "-b", f"release/v{version}", "origin/main")
        for name in ("package.json", "pyproject.toml"):
            file = self.world.project / name
            file.write_text(file.read_text().replace("1.3.0", version))
        log = self.world.project / "CHANGELOG.md"
        text = log.read_text().replace("## [Unreleased]\n", f"## [Unreleased]\n\n## [{version}] - 2026-11-21\n", 1)
        log.write_text(text.replace("v1.3.0...HEAD", f"v{version}...HEAD"))
        self.git("commit", "-q", "-a", "-m", f"chore(release): {version}")
        self.git("push", "-q", "origin", f"release/v{version}")
        return self.git("rev-parse", "HEAD")

    def deploy(self, environment: str, sha: str) -> subprocess.CompletedProcess[str]:
        return self.run("git", "push", "origin", f"+{sha}:refs/heads/deploy/{environment}")


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Returns as soon as the condition holds."""
    oldest = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < oldest, "it did not come true in time"
        time.sleep(0.02)


Up = Callable[..., Eyes]
