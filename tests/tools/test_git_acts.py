"""Acts on refs: absent, applied, conflict, lost reply, late landing, stale lease; and the clone stays as it was."""

from __future__ import annotations

import pytest

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.model import Presence

CHANGES = {"Presence": Presence}


def branch_arguments(small, **changes):
    text = (small.clone / "CHANGELOG.md").read_text()
    values = {"branch": "release/acme/v1.4.0", "base": small.released, "version": "1.4.0", "changelog": text + "x\n",
              "date": "2026-11-21"}  # fmt: skip
    return {**values, **changes}


def test_a_release_branch_carries_changelog_and_version_files_and_nothing_else(small, do):
    before = small.untouched()
    seen, done = do(small.toolbox(), "git.release_branch", branch_arguments(small))
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    sha = done.facts["sha"]
    assert small.head("release/acme/v1.4.0") == sha
    assert small.git("rev-parse", f"{sha}^@", cwd=small.origin) == small.released
    changed = small.git("diff", "--name-only", small.released, sha, cwd=small.origin).split()
    assert changed == ["CHANGELOG.md", "app/version.py", "package.json"]
    assert small.git("show", f"{sha}:package.json", cwd=small.origin) == '{\n  "name": "acme",\n  "version": "1.4.0"\n}'
    assert small.untouched() == before


def test_the_same_arguments_make_the_same_sha_on_another_machine(small, do):
    _, first = do(small.toolbox(), "git.release_branch", branch_arguments(small))
    again = small.toolbox(scratch="elsewhere").probe("git.release_branch", branch_arguments(small), "k-2")
    assert again.presence is Presence.APPLIED
    assert again.facts == first.facts
