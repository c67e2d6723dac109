"""Arguments, exit codes, errors: what scripts and people can rely on before any run exists."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.sample import PROGRAM, environment, pilothouse, project
from pilothouse import __version__
from pilothouse.cli import main as program
from pilothouse.cli.commands import group, names
from pilothouse.cli.reference import _helps, reference
from pilothouse.cli.surface import Surface
from pilothouse.errors import UsageError
from pilothouse.reasons import table

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("words", [
    ["--json", "--project", "/p", "status"], ["status", "--json", "--project=/p"], ["--project", "/p", "status", "--json"],
])  # fmt: skip
def test_global_options_stand_before_or_after_the_command(words: list[str]) -> None:
    surface, rest = program.global_options(words)
    assert rest == ["status"]
    assert surface.json
    assert surface.project == Path("/p")


def test_what_follows_two_dashes_is_no_option() -> None:
    surface, rest = program.global_options(["status", "--", "--json"])
    assert rest == ["status", "--", "--json"]
    assert not surface.json


def test_quiet_and_verbose_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="exclude"):
        program.global_options(["-q", "-v", "status"])


def test_the_version_is_one_line(tmp_path: Path) -> None:
    answer = pilothouse("--version", cwd=tmp_path)
    assert (answer.code, answer.out) == (0, f"pilothouse {__version__}\n")


def test_no_command_at_all_gets_help(tmp_path: Path) -> None:
    answer = pilothouse(cwd=tmp_path)
    assert answer.code == 0
    assert 'pilothouse "ship acme to production"' in answer.out


@pytest.mark.parametrize(
    "words", [["nonsense", "--json"], ["--json", "status"], ["ship", "--json"], ["audit", "x", "--json"]]
)
def test_an_error_in_json_is_one_object_on_standard_output(tmp_path: Path, words: list[str]) -> None:
    answer = pilothouse(*words, cwd=tmp_path)
    assert answer.code == 2
    assert answer.json.keys() == {"schema", "reason_code", "message", "hint"}
    assert answer.json["schema"] == "pilothouse.error/1"
    assert answer.err == ""


def test_an_error_for_people_has_a_hint_and_no_traceback(tmp_path: Path) -> None:
    answer = pilothouse("status", cwd=tmp_path)
    assert answer.code == 2
    assert answer.out == ""
    assert "no pilothouse.yml" in answer.err
    assert "→" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("words", [["--json"], ["audit", "--json"], ["--json", "harbour"]])
def test_json_without_a_command_is_an_error_and_never_help_for_people(tmp_path: Path, words: list[str]) -> None:
    answer = pilothouse(*words, cwd=tmp_path)
    assert (answer.code, answer.json["reason_code"]) == (2, "needs-command")


def test_every_command_says_how_its_answer_comes_as_json() -> None:
    helps = {path: text for path, text in _helps(group(), "pilothouse", None) if "Commands:" not in text}
    assert len(helps) > 20
    for path, text in helps.items():
        examples = [row.strip() for row in text.split("\n") if row.strip().endswith(" --json")]
        if path in (
            "pilothouse approve",
            "pilothouse chat",
            "pilothouse mcp",
            "pilothouse unlock",
            "pilothouse validate",
        ):
            assert "with --json it is refused" in text
        else:
            assert [row for row in examples if row.startswith(path)], path


@pytest.mark.parametrize("wanted", ["9.9", "next", "1.2.x", "-1.0.0"])
def test_what_is_no_version_is_refused_before_a_run_holds_the_product(tmp_path: Path, wanted: str) -> None:
    folder = project(tmp_path / "p")
    answer = pilothouse("ship", "acme", f"--version={wanted}", "--json", cwd=folder)
    assert (answer.code, answer.json["reason_code"]) == (2, "bad-version")
    assert pilothouse("status", "--json", cwd=folder).json["runs"] == []


def test_an_unknown_product_hears_which_there_are(tmp_path: Path) -> None:
    answer = pilothouse("ship", "nope", "--json", cwd=project(tmp_path / "p"))
    assert (answer.code, answer.json["reason_code"]) == (2, "unknown-product")
    assert answer.json["hint"] == "products: acme"


def test_an_interrupt_is_answered_and_never_silent(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pilothouse.cli import main, shipping\n"
        "def interrupted(*_a, **_k): raise KeyboardInterrupt\n"
        "shipping.start = interrupted\nsys.exit(main.run(['ship', 'acme']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert "Stopped. Nothing more was started" in done.stderr


# Root may write anywhere; without its capabilities it is a user like any other.
_AS_USER = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []


@pytest.mark.skipif(bool(_AS_USER) and not shutil.which("setpriv"), reason="root without setpriv can write anywhere")
@pytest.mark.parametrize("words", [["ship", "acme"], ["ship", "acme", "--dry-run"], ["resume"]], ids=" ".join)
def test_a_project_that_cannot_be_written_is_refused_and_is_no_bug(tmp_path: Path, words: list[str]) -> None:
    folder = project(tmp_path / "p")
    shutil.rmtree(folder / ".pilothouse")
    if words == ["resume"]:
        (folder / "state.yml").write_text("pilothouse: {heads: {acme: {seq: 1, hash: x}}}\n", encoding="utf-8")
    folder.chmod(0o500)
    before = sorted(folder.iterdir())
    try:
        done = subprocess.run(
            [*_AS_USER, *PROGRAM, *words, "--json"], cwd=folder, env=environment(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    finally:
        folder.chmod(0o700)
    error = json.loads(done.stdout)
    assert done.returncode == 2, error
    if words != ["resume"]:  # nothing to resume: that needs no writing, and is said first
        assert error["reason_code"] == "not-writable"
        assert str(folder) in error["message"]
        assert "writable" in error["hint"]
    assert sorted(folder.iterdir()) == before


def test_a_misspelt_command_is_guessed(tmp_path: Path) -> None:
    assert "did you mean: pilothouse status" in pilothouse("stauts", cwd=tmp_path).err


@pytest.mark.parametrize(("words", "code", "told"), [
    (["don't ship acme"], 2, "negated"),
    (["ship acme tomorrow"], 2, "not-understood"),
    (["ship widget"], 2, ""),
    (["should we ship acme?"], 2, "question"),
    (["LAUNCH"], 2, "approval"),
])  # fmt: skip
def test_plain_words_that_are_not_understood_start_nothing(
    tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    folder = project(tmp_path / "p")
    answer = pilothouse(*words, "--json", cwd=folder)
    assert answer.code == code
    assert told in answer.json["reason_code"]
    assert pilothouse("status", "--json", cwd=folder).json["runs"] == []


@pytest.mark.parametrize("words", [
    ["ship acme"], ["ship", "acme", "to", "production"], ["release", "acme"], ["deploy", "acme", "v1.4.0"],
    ["/release acme"], ["ship to prod"],
])  # fmt: skip
def test_plain_words_are_heard_and_reach_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str]
) -> None:
    from pilothouse.cli import shipping

    asked = []
    monkeypatch.chdir(project(tmp_path / "p"))
    monkeypatch.setattr(shipping, "start", lambda _surface, request, **_options: asked.append(request) or 0)
    assert program.run(["--quiet", *words]) == 0
    assert [(request.product, request.workflow) for request in asked] == [("acme", "release")]
    assert asked[0].version == ("1.4.0" if "v1.4.0" in words else "")


def test_a_rollback_in_plain_words_keeps_its_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pilothouse.cli import shipping

    asked = []
    monkeypatch.chdir(project(tmp_path / "p"))
    monkeypatch.setattr(shipping, "start", lambda _surface, request, **_options: asked.append(request) or 0)
    assert program.run(["--quiet", "roll back acme to 1.3.0 because prices are wrong"]) == 0
    assert asked[0].workflow == "rollback"
    assert asked[0].version == "1.3.0"
    assert asked[0].inputs["reason"] == "prices are wrong"


def test_a_rollback_needs_a_known_severity_and_a_reason(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    bad = pilothouse("rollback", "acme", "--severity", "huge", "--reason", "x", "--json", cwd=folder)
    assert (bad.code, bad.json["reason_code"]) == (2, "bad-severity")
    none = pilothouse("rollback", "acme", "--severity", "high", "--reason", " ", "--json", cwd=folder)
    assert (none.code, none.json["reason_code"]) == (2, "reason-missing")


def test_every_command_shows_an_example() -> None:
    for path, text in _helps(group(), "pilothouse", None):
        assert "Example" in text, path
        assert path.split()[0] in text


def test_the_commands_that_the_interfaces_promise_are_there() -> None:
    promised = {
        "ship", "run", "approve", "reject", "status", "resume", "abort", "rollback", "audit", "state", "workflow", "agent",
        "doctor", "harbour", "demo", "explain",
    }  # fmt: skip
    assert promised <= set(names())


def test_the_command_line_page_is_what_the_code_says() -> None:
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == reference(), (
        "python -m pilothouse.cli.reference > docs/cli.md"
    )


def test_the_reason_code_page_is_what_the_code_says() -> None:
    page = (DOCS / "reason-codes.md").read_text(encoding="utf-8")
    assert page == table(), "python -m pilothouse.reasons > docs/reason-codes.md"


def test_a_reason_code_is_explained_with_what_to_do(tmp_path: Path) -> None:
    answer = pilothouse("explain", "ci-red", cwd=tmp_path)
    assert answer.code == 0
    assert "ci-red" in answer.out
    assert "re-run it" in answer.out
    assert pilothouse("explain", "ci-rde", "--json", cwd=tmp_path).json["hint"] == "did you mean: ci-red"


def test_a_reader_that_goes_away_is_no_bug(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        done = subprocess.run(
            [*PROGRAM, "harbour", "--help"],
            stdout=nobody,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment(),
            check=False,
        )
    assert done.returncode == 141
    assert done.stderr == b""


def test_a_bug_is_one_line_with_a_file_and_never_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken(_surface: Surface, _rest: list[str]) -> int:
        raise ZeroDivisionError("something unforeseen")

    folder = project(tmp_path / "p")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(program, "_dispatch", broken)
    assert program.run(["status"]) == 1
    said = capsys.readouterr()
    assert "bug in Pilothouse (ZeroDivisionError)" in said.err
    assert "Traceback" not in said.err
    (log,) = (folder / ".pilothouse").glob("crash-*.log")
    assert "something unforeseen" in log.read_text(encoding="utf-8")
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("words", "banned"), [
    (["--help"], {"pydantic", "jinja2", "ruamel.yaml", "httpx2", "rich", "sqlite3", "pilothouse.app", "pilothouse.redaction"}),
    (["status", "--json"], {"pydantic", "jinja2", "ruamel.yaml", "httpx2", "rich", "typer", "pilothouse.engine", "pilothouse.settings", "pilothouse.redaction"}),
])  # fmt: skip
def test_slow_libraries_are_loaded_only_by_the_command_that_needs_them(
    tmp_path: Path, words: list[str], banned: set[str]
) -> None:
    folder = project(tmp_path / "p")
    code = (
        "import sys\nfrom pilothouse.cli.main import run\n"
        f"run({words!r})\nprint('\\n'.join(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment(), capture_output=True, text=True, check=True
    )
    assert banned & set(done.stderr.split("\n")) == set()
