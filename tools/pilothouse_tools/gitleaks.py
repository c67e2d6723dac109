"""gitleaks as a scanner, where its packaged program is on PATH: its rules, none of the repository's own settings."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilothouse.errors import ToolFailed
from pilothouse_tools import child
from pilothouse_tools.clone import BARE, CONFIG, as_environ
from pilothouse_tools.leaks import Found, Leak, shown
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilothouse_tools.repository import Repository

_LEAST = (8, 19)  # the first with the command git
_TIMEOUT = 600.0
_LARGEST_REPORT = 64_000_000


def installed(environ: Mapping[str, str]) -> Gitleaks | None:
    """The adapter, where a program on PATH is one that knows ``gitleaks git``; an older one is as good as none."""
    try:
        child.resolve("gitleaks", environ)
        done = child.run(["gitleaks", "version"], cwd=Path("/"), env=environ, timeout=30)
    except ToolFailed:
        return None
    version = one_line(done.stdout.decode("utf-8", "replace"), 40)
    found = re.match(r"v?(\d+)\.(\d+)", version)  # a build from source says none, and is taken
    if done.code or (found and tuple(map(int, found.groups())) < _LEAST):
        return None
    return Gitleaks(environ, version)


class Gitleaks:
    """Adapter of ``leaks.SecretScanner``.

    Args:
        environ: of the child: no credentials, a home of ours.
        version: as it says it.
    """

    def __init__(self, environ: Mapping[str, str], version: str) -> None:
        self._environ = {**environ, **BARE, **as_environ(CONFIG)}
        self.name = f"gitleaks {version}".strip()

    def scan(self, repo: Repository, older: str, newer: str) -> Found:
        """See ``SecretScanner``; it runs in our scratch repository, which holds no file of the range.

        Raises:
            ToolFailed: ``secrets-unscanned``: it failed, ran out of time, or its report is none.
        """
        repo.prepare()
        with tempfile.TemporaryDirectory(prefix="gitleaks-", dir=repo.scratch) as folder:
            report = Path(folder) / "report.json"
            argv = [
                "gitleaks", "git", "--report-format=json", f"--report-path={report}", "--redact=100", "--exit-code=0",
                "--no-banner", "--no-color", "--ignore-gitleaks-allow", f"--gitleaks-ignore-path={folder}",
                # As text: an attribute of the repository must hide nothing as binary.
                f"--log-opts=--text --no-textconv --no-ext-diff --full-history {older}..{newer}", str(repo.folder),
            ]  # fmt: skip
            done = child.run(argv, cwd=Path(folder), env=self._environ, timeout=_TIMEOUT)
            if done.code or done.timed_out:
                said = one_line(done.stderr.decode("utf-8", "replace")[-600:], 300)
                raise ToolFailed("secrets-unscanned", f"gitleaks did not look through the range: {said or done.code}")
            return Found(tuple(_leak(row) for row in _rows(report)))


def _rows(report: Path) -> list[dict[str, Any]]:
    try:
        with report.open("rb") as file:
            rows = json.loads(file.read(_LARGEST_REPORT))
    except (OSError, ValueError) as error:
        raise ToolFailed("secrets-unscanned", f"gitleaks left no report that can be read ({error})") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ToolFailed("secrets-unscanned", "gitleaks' report is no list of findings")
    return rows


def _leak(row: Mapping[str, Any]) -> Leak:
    # Of a row only these: Match and Secret stay where they are, whatever --redact did with them.
    line = row.get("StartLine")
    return Leak(
        commit=one_line(str(row.get("Commit") or ""), 64),
        file=shown(str(row.get("File") or "").encode("utf-8", "surrogateescape")),
        line=line if isinstance(line, int) and line >= 0 else 0,
        rule=one_line(str(row.get("RuleID") or "unnamed"), 80),
    )
