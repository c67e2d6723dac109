"""doctor says what is missing, by name, and never what a credential holds (INT-5)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.sample import PROGRAM, environment, lately, pilothouse, project
from pilothouse import doctor
from render import story


def fake(folder: Path, name: str, says: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    path.chmod(0o755)


def levels(checks: tuple[doctor.Check, ...]) -> dict[str, str]:
    return {check.name: check.level for check in checks}


@pytest.mark.parametrize(("says", "level"), [
    ("git version 2.39.5", "ok"), ("git version 2.38.0", "ok"), ("git version 2.37.9", "bad"), ("what", "bad"),
])  # fmt: skip
def test_a_tool_that_is_too_old_is_named_with_the_version_that_is_needed(tmp_path: Path, says: str, level: str) -> None:
    fake(tmp_path, "git", says)
    found = {check.name: check for check in doctor.examine(None, {"PATH": f"{tmp_path}:/bin"})}
    assert found["git"].level == level
    if level == "bad":
        assert "2.38" in found["git"].hint


def test_a_missing_tool_is_bad_and_says_what_to_install(tmp_path: Path) -> None:
    project(tmp_path / "p", story.done(lately()))
    found = {check.name: check for check in doctor.examine(tmp_path / "p", {"PATH": str(tmp_path)})}
    assert (found["gh"].level, found["gh"].hint) == ("bad", "install gh 2.20 or later")


def test_elsewhere_than_linux_and_macos_it_refuses_and_points_to_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    check = doctor.examine(None, {"PATH": ""})[0]
    assert check.level == "bad"
    assert "WSL2" in check.hint


def test_credentials_are_named_and_never_shown(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.done(lately()))
    secret = "s3cr3t-value-of-the-forge"
    answer = pilothouse("doctor", "--json", cwd=folder, env=environment(GH_TOKEN=secret))
    assert answer.code == 20
    told = {check["name"]: check for check in answer.json["checks"]}
    assert told["forge"]["level"] == "ok"
    assert "GH_TOKEN" in told["forge"]["told"]
    assert "ACME_PRODUCTION_DB" in told["production"]["told"]
    assert told["ledger"]["told"].endswith("every hash fits")
    assert secret not in answer.out + answer.err


def test_an_unreadable_project_file_is_named_with_its_line(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    (folder / "pilothouse.yml").write_text("version: 1\nworkflw: release\n", encoding="utf-8")
    found = {check.name: check for check in doctor.examine(folder, os.environ)}
    assert found["project"].level == "bad"
    assert "pilothouse.yml:2" in found["project"].told


def test_a_hint_of_several_lines_has_one_arrow(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    (folder / ".pilothouse" / "ledger.db").write_bytes(b"")
    said = pilothouse("doctor", cwd=folder).out.split("\n")
    at = next(number for number, row in enumerate(said) if "→ Nothing was changed. Keep the file" in row)
    assert said[at + 1].startswith(" " * 22)
    assert "→" not in said[at + 1]


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root without setpriv can write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    shutil.rmtree(folder / ".pilothouse")
    folder.chmod(0o500)
    as_user = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
    try:
        done = subprocess.run(
            [*as_user, *PROGRAM, "doctor", "--json"], cwd=folder, env=environment(), capture_output=True, text=True, check=False
        )  # fmt: skip
    finally:
        folder.chmod(0o700)
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert found["folder"]["level"] == "bad"
    assert str(folder) in found["folder"]["told"]
    assert found["folder"]["hint"]


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


def approvals(folder: Path, home: Path) -> doctor.Check:
    checks = doctor.examine(folder, {**os.environ, "HOME": str(home)})
    return next(check for check in checks if check.name == "approvals")


def test_where_typed_words_approve_it_warns_and_says_what_to_set(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    for changed in ("", "signature: allow, "):
        text = (folder / "pilothouse.yml").read_text(encoding="utf-8").replace("signature: allow, ", "")
        text = text.replace("approval: {", f"approval: {{{changed}")
        (folder / "pilothouse.yml").write_text(text, encoding="utf-8")
        found = approvals(folder, tmp_path)
        assert found.level == "warn"
        assert "policy.approval.signature: allow" in found.told
        assert "policy.approval.signature: require" in found.hint


def test_where_only_signatures_approve_it_warns_of_keys_that_lie_within_reach(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    text = (
        (folder / "pilothouse.yml")
        .read_text(encoding="utf-8")
        .replace("approval: {", "approval: {signature: require, ")
    )
    text = text.replace("groups: [ceo],", f'groups: [ceo], ssh_key: "{KEY}",')
    (folder / "pilothouse.yml").write_text(text, encoding="utf-8")
    ssh = tmp_path / ".ssh"
    ssh.mkdir()
    (ssh / "id_ed25519.pub").write_text(f"{KEY} ceo@acme.test\n", encoding="utf-8")
    assert approvals(folder, tmp_path).level == "ok"  # the private half is elsewhere
    (ssh / "id_ed25519").write_text("its private half\n", encoding="utf-8")
    found = approvals(folder, tmp_path)
    assert (found.level, "can sign for ceo@acme.test" in found.told) == ("warn", True)
