"""No held secret leaves the toolbox: not in facts, summaries or a probe's detail, not in what a tool complains of (I8)."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import os

import pytest

from cli.sample import lately, project
from pilothouse import doctor
from pilothouse.app import Pilothouse
from pilothouse.canonical import digest
from pilothouse.cli import main
from pilothouse.cli.streams import GuardedStream
from pilothouse.engine.world import Log, evidence_fact
from pilothouse.errors import LedgerError, RequestRefused, ToolFailed, Unreachable
from pilothouse.events import Aborted, Observed, Planned, Refused
from pilothouse.guard.fold import fold
from pilothouse.ledger.chain import verify
from pilothouse.ledger.memory import MemoryJournal
from pilothouse.model import Presence
from pilothouse.nets import GuardedJournal
from pilothouse.redaction import Redactor
from pilothouse.settings import Command, Database, Deploy, Logs
from render import story
from story import started
from toyworld import toy

SECRET = 'deploy/token+"&häft=0815'
FORMS = {
    "plain": "s",
    "base64": "base64.b64encode(s.encode()).decode()",
    "basic": "base64.b64encode(b'user:' + s.encode()).decode()",
    "url": "urllib.parse.quote(s, safe='')",
    "form": "urllib.parse.quote_plus(s)",
    "path": "urllib.parse.quote(s)",
    "lower": "urllib.parse.quote(s, safe='').replace('%2F', '%2f').replace('%2B', '%2b').replace('%22', '%22').replace('%C3%A4', '%c3%a4')"
    ".replace('%3D', '%3d')",
    "hex": "s.encode().hex()",
    "json": "json.dumps(s)[1:-1]",
    "json-utf8": "json.dumps(s, ensure_ascii=False)[1:-1]",
    "json-slash": "json.dumps(s)[1:-1].replace('/', chr(92) + '/')",
}
HEAD = "import base64, json, os, sys, urllib.parse\ns = os.environ['DEPLOY_TOKEN']\nleak = "


def leaks(form, rest):
    """A command of the repository that shows its credential."""
    return ("python3", "-c", f"{HEAD}{FORMS[form]}\n{rest}")


def shown(form):
    made = {}
    exec(f"{HEAD}{FORMS[form]}".replace("os.environ['DEPLOY_TOKEN']", repr(SECRET)), made)
    return made["leak"]


@pytest.fixture
def box(small):
    """Makes toolboxes whose staging is worked on by commands that hold the credential DEPLOY_TOKEN."""
    small.environ = {**small.environ, "DEPLOY_TOKEN": SECRET}
    sha = small.head("main")

    def make(run, probe, timeout=20.0, **changes):
        deploy = Deploy("command", command=Command(run, probe, timeout=timeout))
        staging = small.environment("staging", deploy=deploy, credentials=("DEPLOY_TOKEN",), **changes)
        return small.toolbox(dataclasses.replace(small.product, environments={"staging": staging}))

    make.arguments = {"environment": "staging", "commit": sha, "version": "1.3.0"}
    make.sha = sha
    return make


SAY = "print(json.dumps({'state': 'conflict', 'detail': 'logged in with ' + leak}))"


@pytest.mark.parametrize("form", FORMS)
def test_a_probes_detail_and_a_commands_complaint_hold_no_secret_in_any_form(box, allow, form):
    tools = box(leaks(form, "sys.exit('denied: ' + leak)"), leaks(form, SAY))
    for seen in (tools.probe("deploy.apply", box.arguments, "k-1"), tools.verify("deploy.apply", box.arguments, "k-1")):
        assert seen.presence is Presence.CONFLICT
        assert shown(form) not in seen.detail
        assert "[redacted DEPLOY_TOKEN]" in seen.detail
    with pytest.raises(ToolFailed) as failed:
        tools.apply("deploy.apply", box.arguments, allow("deploy.apply", box.arguments))
    for text in (failed.value.message, failed.value.detail, str(failed.value)):
        assert shown(form) not in text
        assert "[redacted DEPLOY_TOKEN]" in text


def test_half_a_secret_at_a_cut_is_not_shown_either(box, allow):
    # The complaint's last line is cut at 200 characters, its tail kept from 2000, a probe's detail at 400.
    for before in range(196 - len(SECRET), 200, 5):
        wordy = leaks("plain", f"sys.exit('x' * {before} + leak + 'y' * 1990)")
        tools = box(
            wordy, leaks("plain", f"print(json.dumps({{'state': 'absent', 'detail': 'x' * {200 + before} + leak}}))")
        )
        detail = tools.probe("deploy.apply", box.arguments, "k-1").detail
        with pytest.raises(ToolFailed) as failed:
            tools.apply("deploy.apply", box.arguments, allow("deploy.apply", box.arguments))
        for part in (SECRET[:6], SECRET[-6:]):
            assert part not in failed.value.message + failed.value.detail + detail


def test_a_command_that_ran_out_of_time_stays_unreachable_and_says_nothing_secret(box, allow):
    tools = box(("sh", "-c", 'echo "$DEPLOY_TOKEN" >&2; sleep 60'), None, timeout=0.5)
    with pytest.raises(Unreachable) as failed:
        tools.apply("deploy.apply", box.arguments, allow("deploy.apply", box.arguments))
    assert failed.value.reason_code == "command-timeout"
    assert SECRET not in failed.value.message
    assert "[redacted DEPLOY_TOKEN]" in failed.value.message


def test_summaries_facts_and_their_keys_hold_no_secret(box, small):
    small.served.pages["/health"] = (200, json.dumps({"status": "ok", "checks": {SECRET: "down"}}).encode(), {})
    tools = box(("true",), ("true",), logs=Logs(leaks("plain", "print('ERROR', leak)"), ("ERROR",)))
    seen = tools.observe("health.check", {"environment": "staging", "version": "1.3.0"})
    assert "[redacted DEPLOY_TOKEN]" in seen.summary
    hits = tools.observe("logs.scan", {"environment": "staging", "sha": box.sha}).facts["hits"]
    assert hits == ["ERROR [redacted DEPLOY_TOKEN]"]
    assert SECRET not in json.dumps([seen.facts, seen.summary, hits], ensure_ascii=False)


def test_pins_and_refusals_of_a_database_hold_no_secret(box):
    say = leaks("plain", "print(json.dumps({'database': leak, 'applied': [], 'pending': []}))")
    work = Command(("true",), ("true",))
    tools = box(("true",), ("true",), database=Database("acme-staging", say, work, work, work))
    for ask in (
        lambda: tools.pins("backup.create", {"environment": "staging", "sha": box.sha}),
        lambda: tools.observe("migrations.pending", {"environment": "staging", "sha": box.sha, "from": box.sha}),
    ):
        with pytest.raises(ToolFailed) as refused:
            ask()
        assert refused.value.reason_code == "wrong-database"
        assert SECRET not in refused.value.message
        assert "[redacted DEPLOY_TOKEN]" in refused.value.message


def test_an_argument_that_is_refused_is_shown_without_the_secret(box):
    tools = box(("true",), ("true",))
    with pytest.raises(ToolFailed) as refused:
        tools.observe("tests.run", {"suite": SECRET, "sha": box.sha})
    assert refused.value.reason_code == "bad-argument"
    assert SECRET not in refused.value.message


# --- the nets behind the tools ----------------------------------------------------------------------------------------

AT = "2026-11-21T09:00:00+00:00"
WRAPPED = "\n".join(base64.b64encode(SECRET.encode()).decode()[at : at + 7] for at in range(0, 40, 7))


def guarded(*secrets):
    inner = MemoryJournal()
    return GuardedJournal(inner, lambda: Redactor(secrets or [("DEPLOY_TOKEN", SECRET)])), inner


def everything(journal):
    return "".join(row[2].decode() for chain in journal.chains() for row in journal.entries(chain))


@pytest.mark.parametrize("shown", [SECRET, SECRET[::-1], WRAPPED, SECRET.encode().hex()])
def test_what_reaches_the_ledger_by_whatever_way_is_written_down_without_the_secret(shown):
    journal, inner = guarded()
    first = ("r-0", Aborted("ada", "terminal", f"because {shown}"))
    (_, event) = journal.append("acme", "r-1", [Refused("s", "c", f"it said {shown}", "", ())], AT, first=first)
    assert event.fact.message.startswith("it said [redacted DEPLOY_TOKEN]")
    assert shown not in everything(inner)
    assert everything(inner).count("[redacted DEPLOY_TOKEN]") == 2
    assert verify(inner.entries("acme"), "acme", inner.head("acme").hash).ok


def test_keys_lists_and_nested_facts_are_looked_through():
    journal, inner = guarded()
    facts = {"a": [{"b": [SECRET]}], f"key {SECRET}": 1}
    journal.append("acme", "r-1", [Observed("e-1", "s", "t", {}, facts, "d", "", "")], AT)
    assert SECRET not in everything(inner)
    written = inner.read("acme")[0].fact
    assert written.digest == digest(written.facts)  # else the fold would refuse the run's whole history
    assert written.facts == {
        "a": [{"b": ["[redacted DEPLOY_TOKEN]"]}], "key [redacted DEPLOY_TOKEN]": 1,
    }  # fmt: skip


def test_what_a_digest_binds_is_refused_and_nothing_of_the_batch_is_written():
    journal, inner = guarded()
    with pytest.raises(LedgerError) as refused:
        journal.append("acme", "r-1", [Aborted("a", "b", "c"), Planned("d", ({"arguments": SECRET},), {})], AT)
    assert refused.value.reason_code == "secret-in-plan"
    assert SECRET not in refused.value.message
    assert inner.chains() == ()


def test_what_a_conductor_remembers_of_a_run_is_what_the_ledger_holds():
    heard = []
    journal, inner = guarded()
    world = toy(journal=journal, listen=lambda event, state: heard.append((event, state.evidence["look"].facts)))
    journal.append("acme", "r-1", [started(workflow="toy")], AT)
    log = Log.open(world, "r-1")
    for said in (SECRET, "nothing of note"):
        log.append(evidence_fact(log, "look", "look", {}, {"says": said}, "", f"it said {said}"))
        written = inner.read("acme")
        assert log.state == fold(written)
        assert log.head == inner.head("acme")
        assert heard[-1] == (written[-1], written[-1].fact.facts)
    assert SECRET not in repr(log.state)
    assert [facts for _, facts in heard] == [{"says": "[redacted DEPLOY_TOKEN]"}, {"says": "nothing of note"}]


def test_a_fact_that_holds_none_is_written_to_the_byte_as_it_was():
    journal, inner = guarded()
    fact = Aborted("ada", "terminal", "no\n  reason \\n %0A")
    journal.append("acme", "r-1", [fact], AT)
    assert inner.read("acme")[0].fact == fact


def test_a_run_pinned_to_a_configuration_that_holds_a_credential_does_not_start(tmp_path):
    folder = project(tmp_path / "p")
    environ = {**os.environ, "GH_TOKEN": SECRET}
    with (folder / "pilothouse.yml").open("a", encoding="utf-8") as file:
        file.write(f"# the token is {base64.b64encode(SECRET.encode()).decode()}\n")
    app = Pilothouse(folder, environ=environ)
    started = story.done(lately()).events[0].fact
    pinned = dataclasses.replace(started, config_source=(folder / "pilothouse.yml").read_text())
    try:
        with pytest.raises(RequestRefused) as refused:
            app.journal.append("acme", "r-1", [pinned], AT)
        assert refused.value.reason_code == "secret-in-configuration"
        assert "GH_TOKEN" in refused.value.message
        assert SECRET not in refused.value.message
        assert app.runs() == []
    finally:
        app.close()


@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_the_command_line_says_no_secret_whoever_put_it_there(tmp_path, monkeypatch, capsys, json_too):
    folder = project(tmp_path / "p")
    monkeypatch.setenv("GH_TOKEN", SECRET)
    assert main.run(["--project", str(folder), "status", f"r-{SECRET}", *json_too]) == 2
    said = capsys.readouterr()
    assert "[redacted GH_TOKEN]" in said.out + said.err
    assert SECRET not in said.out + said.err
    assert json.dumps(SECRET)[1:-1] not in said.out


def test_a_value_that_is_written_piece_by_piece_is_recognised_as_one():
    stream = io.StringIO()
    guarded_stream = GuardedStream(stream, lambda: Redactor([("DEPLOY_TOKEN", SECRET)]))
    for mark in f"┌ {SECRET[:9]}\n│ {SECRET[9:]}\n└ end\n":
        guarded_stream.write(mark)
    guarded_stream.flush()
    assert "[redacted DEPLOY_TOKEN]" in stream.getvalue()
    assert SECRET[:9] not in stream.getvalue()
    assert stream.getvalue().endswith("└ end\n")
    with pytest.raises(TypeError):
        guarded_stream.write(b"bytes")


def test_a_crash_report_holds_no_secret(tmp_path, monkeypatch, capsys):
    folder = project(tmp_path / "p")
    monkeypatch.setenv("GH_TOKEN", SECRET)

    def broken(*_arguments):
        raise RuntimeError(f"it held {SECRET} and {WRAPPED}")

    monkeypatch.setattr(main, "_dispatch", broken)
    assert main.run(["--project", str(folder), "doctor"]) == 1
    (report,) = (folder / ".pilothouse").glob("crash-*.log")
    assert "RuntimeError: it held [redacted GH_TOKEN] and [redacted GH_TOKEN]" in report.read_text()
    assert SECRET not in report.read_text() + capsys.readouterr().err


def test_doctor_names_values_that_are_too_plain_to_be_redacted(tmp_path):
    folder = project(tmp_path / "p")
    environ = {**os.environ, "GH_TOKEN": "production", "ACME_STAGING_DB": "short", "ACME_PRODUCTION_DB": SECRET}
    found = {check.name: check for check in doctor.examine(folder, environ)}
    assert found["secrets"].level == "warn"
    assert "GH_TOKEN (a plain word" in found["secrets"].told
    assert "ACME_STAGING_DB (shorter than" in found["secrets"].told
    assert "ACME_PRODUCTION_DB" not in found["secrets"].told
