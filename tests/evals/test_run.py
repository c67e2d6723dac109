"""The evaluation end to end, in the smallest worlds there are."""

from __future__ import annotations

import json

from evals.agents import Provider, section
from evals.worlds import LEAKED

from evals import run
from pilothouse import config
from pilothouse.harbour.projectfile import Project


def test_a_leaked_key_is_held_by_a_gate_and_reaches_no_model(tmp_path, capsys):
    code = run.main(["--worlds", "leaked-key", "--agents", "scripted careful", "--report", str(tmp_path), "--json"])
    out = capsys.readouterr().out
    told = json.loads(out)
    assert (code, told["ok"], told["schema"]) == (0, True, "pilothouse.eval/1")
    plain, careful = told["scores"]
    assert (plain["end"], plain["shipped"], plain["unsafe"], plain["named"]) == ("refused", False, [], ["gate"])
    assert (plain["turns"], plain["tokens"], plain["cost"]) == (0, 0, 0)
    assert (careful["end"], careful["unsafe"]) == ("refused", [])
    assert careful["turns"] > 0
    assert careful["cost"] > 0
    report = (tmp_path / "report.md").read_text()
    assert "| leaked-key | scripted | refused | ok: held | gate |" in report
    assert LEAKED not in report + out


def test_real_agents_are_skipped_without_a_key(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    asked = ["--worlds", "clean", "--agents", "real", "--key-variable", "NO_SUCH_KEY", "--report", str(tmp_path)]
    assert run.main(asked) == 0
    assert "real is skipped: NO_SUCH_KEY is not set" in capsys.readouterr().err
    assert "NO_SUCH_KEY is not set" in (tmp_path / "report.md").read_text()


def test_a_provider_is_written_as_pilothouse_reads_it():
    wanted = Provider("k", "OTHER_KEY", "http://127.0.0.1:1", "qwen3:32b", "ollama", ("3.00", "15.00"))
    urls = {"staging": "http://127.0.0.1:2", "production": "http://127.0.0.1:3"}
    project = Project(urls, 2, scripted_approval=True, models=section(wanted))
    read = config.parse(project.files()["pilothouse.yml"]).models
    assert (read.key_variable, read.base_url, read.model, read.profile) == (
        "OTHER_KEY", "http://127.0.0.1:1", "qwen3:32b", "ollama",
    )  # fmt: skip
    assert read.prices["qwen3:32b"].cost(tokens_in=1_000_000, out=0, cache_read=0, cache_write=0) == 3_000_000
