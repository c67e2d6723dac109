"""The demo is the first thing a newcomer runs: it ships, it reports, it verifies, and it cleans up after itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.sample import environment, pilothouse
from pilothouse import harbour

pytestmark = pytest.mark.slow


def alive(folder: Path) -> bool:
    return (folder / "control.sock").exists()


def test_the_demo_ships_and_says_what_happened(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    answer = pilothouse("demo", "--dir", str(folder), cwd=tmp_path)
    assert answer.code == 0, answer.out + answer.err
    for part in ("╭ Go to production?", "acme 1.4.0 is live", "every hash fits", "✔ watched", f"rm -r {folder}"):
        assert part in answer.out
    assert max(len(line) for line in answer.out.splitlines() if "/" not in line) <= 80
    assert not alive(folder)
    after = pilothouse("audit", "verify", "--json", cwd=harbour.load(folder).project)
    assert after.json["ok"] is True


def test_a_refused_demo_exits_20_with_one_json_object(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    answer = pilothouse("demo", "--dir", str(folder), "--fault", "ci-red", "--json", cwd=tmp_path, env=environment())
    assert answer.code == 20
    run = json.loads(answer.out)["runs"][0]
    assert (run["state"], run["reason_code"]) == ("refused", "ci-red")
    assert "✘ Readiness" in answer.err
    assert not alive(folder)


def test_an_unknown_fault_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    answer = pilothouse("demo", "--dir", str(tmp_path / "w"), "--fault", "ci-rde", "--json", cwd=tmp_path)
    assert (answer.code, answer.json["reason_code"]) == (2, "unknown-fault")
