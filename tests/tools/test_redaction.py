"""No held secret leaves the toolbox: not in facts, summaries or a probe's detail, not in what a tool complains of (I8)."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.model import Presence
from pilothouse.settings import Command, Database, Deploy, Logs

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
