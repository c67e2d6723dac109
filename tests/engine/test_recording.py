"""What the release record says, by the facts of runs of several workflows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pilothouse import events as e
from pilothouse.engine.recording import record_of
from pilothouse.guard.approval import WORDS
from pilothouse.guard.clearance import ACCOUNT
from pilothouse.guard.fold import fold
from pilothouse.model import Branch, Kind, Phase, Step, Workflow
from pilothouse.ports import Head
from pilothouse.settings import Audit, Product, Promotion, Readiness, Rollback, Versioning
from pilothouse_tools.recordshape import SCHEMA, checked
from story import SHA, START, act, approved, chained, done, failed, intended, observed, opened, planned, started

HEAD = Head(9, "9" * 64)
PRODUCT = Product(
    name="acme", title="Acme", path=".", remote="origin", base="main", forge=None, versioning=Versioning(),
    readiness=Readiness(), suites={}, not_verified=(), environments={}, drift_ignore=(), watch=None,
    rollback=Rollback(), delete_branch=True, notify=(), promotion=Promotion(), audit=Audit(),
)  # fmt: skip


def flow(*steps, branch=()):
    """A workflow of (id, tool) acts and looks; ``branch``: those of the contingent branch rollback."""

    def made(pairs):
        return tuple(
            Step(name, "conductor", Kind.ACT, tool, arguments={"environment": "production"}) for name, tool in pairs
        )

    branches = {
        "rollback": Branch("rollback", "Rollback", (Phase("r", "R", "conductor", made(branch)),), "rolled-back")
    }
    return Workflow("w", "W", "", (Phase("p", "P", "conductor", made(steps)),), {}, branches, "name: w\n")


def record(*facts, workflow=None, product=PRODUCT, kind="outcome"):
    events = chained(started(), *facts)
    found = record_of(fold(events), HEAD, product, workflow or flow(), events)
    whole = {**found, "schema": SCHEMA, "kind": kind, "release": "acme-2026-11-21-01"}
    return checked(whole if kind == "outcome" else {**whole, "outcome": None})


CONTENTS = {
    "commits": [], "tickets": ["ACME-1"], "unread": [],
    "pulls": [{"number": 7, "title": "t", "url": "u", "author": "ada", "merged_at": "m", "merged_by": "bo", "base": "main",
               "head_sha": SHA, "merge_commit": SHA, "how": "squash", "reviewers": ["bo"], "reviewed_sha": SHA,
               "reviewed": True, "tickets": ["ACME-1"], "archive": "archives/pr-7.md", "archive_sha": SHA}],
    "unlinked": [{"sha": "2" * 40, "subject": "oops", "author": "kim"}], "missing_archives": [7], "unreviewed": [8],
    "areas": [{"area": "api", "files": 1, "insertions": 2, "deletions": 3}],
    "counts": {"commits": 5, "pulls": 1, "tickets": 1, "files": 4, "insertions": 3, "deletions": 2},
}  # fmt: skip


def test_a_promotions_record_has_its_contents_tickets_checks_and_every_gap_as_an_exception():
    looked = {"tickets": [{"key": "ACME-1", "found": True, "title": "T", "status": "Done", "url": "l"}],
              "missing": ["ACME-2"], "server": "linear", "tool": "get_issue"}  # fmt: skip
    checks = {"sha": SHA, "checks": [{"name": "unit", "state": "success", "url": ""}], "complete": True}
    made = record(
        observed("contents", "e-1", CONTENTS, tool="audit.contents"), observed("t", "e-2", looked, tool="tickets.look"),
        observed("ci", "e-3", checks, tool="forge.ci"),
    )  # fmt: skip
    assert made["counts"] == CONTENTS["counts"]
    assert made["pulls"][0]["reviewed"] is True and "base" not in made["pulls"][0]
    assert made["tickets"] == [{"key": "ACME-1", "found": True, "title": "T", "status": "Done", "url": "l"}]
    assert made["checks"] == [{"name": "unit", "result": "success", "sha": SHA}]
    assert made["to"] == {"ref": "staging", "sha": SHA, "version": ""} and made["from"]["ref"] == "main"
    assert [(x["kind"], x["what"].split(":")[0]) for x in made["exceptions"]] == [
        ("commit-without-pull", "2" * 40), ("archive-missing", "pull request #7 has no archive"),
        ("pull-unreviewed", "pull request #8 was not approved as it was merged"),
        ("ticket-missing", "ACME-2 was not found"),
    ]  # fmt: skip


def test_a_releases_record_takes_what_its_own_tools_know_and_says_that_nobody_looked_for_the_rest():
    git = {"commits": 2, "pulls": [7], "tickets": ["ACME-1"], "files": 3, "insertions": 1, "deletions": 0}
    pulls = {
        "pulls": [{"number": 7, "title": "t", "author": "ada", "url": "u", "merged_at": "m", "state": "merged"}],
        "missing": [],
    }
    made = record(
        observed("contents", "e-1", git, tool="git.contents"), observed("pulls", "e-2", pulls, tool="forge.pulls"),
        observed("version", "e-3", {"version": "1.4.0"}, tool="version.decide"),
    )  # fmt: skip
    assert made["counts"] == {"commits": 2, "pulls": 1, "tickets": 1, "files": 3, "insertions": 1, "deletions": 0}
    assert made["pulls"][0]["reviewed"] is None and made["tickets"][0]["found"] is None
    assert (made["version"], made["to"]["ref"]) == ("1.4.0", "main")
    assert record(workflow=flow())["counts"]["pulls"] == 0  # a rollback looks at none of it


def test_acts_artefacts_and_own_commits_are_those_that_were_done():
    plan = planned(
        act("branch", "git.release_branch", checkpoint=None, reach="workspace"),
        act("deploy", checkpoint=None, reach="staging"), act("promote", "git.promote", checkpoint=None, reach="staging"),
    )  # fmt: skip
    made = record(
        plan, intended(plan, "branch", tool="git.release_branch"), done("branch", "e-1", facts={"sha": "a" * 40, "branch": "b"}),
        intended(plan, "deploy"),
        done("deploy", "e-2", facts={"sha": "a" * 40, "commit": "a" * 40, "version": "1.4.0", "url": "u", "digest": "sha256:1"}),
        intended(plan, "promote", tool="git.promote"), failed("promote"),
        workflow=flow(("branch", "git.release_branch"), ("deploy", "deploy.apply"), ("promote", "git.promote")),
    )  # fmt: skip
    assert made["own_commits"] == ["a" * 40]
    assert [(a["step"], a["tool"], a["state"], a["reason_code"]) for a in made["acts"]] == [
        ("branch", "git.release_branch", "done", ""), ("deploy", "deploy.apply", "done", ""),
        ("promote", "git.promote", "failed", "no-effect"),
    ]  # fmt: skip
    assert made["artefacts"][0] | {"step": ""} == {
        "step": "", "environment": "production", "version": "1.4.0", "commit": "a" * 40, "digest": "sha256:1", "url": "u",
    }  # fmt: skip
    assert made["plan"]["digest"] == plan.digest and len(made["plan"]["acts"]) == 3


def test_an_approval_has_its_person_its_time_and_the_word_as_presented_and_entered():
    plan = planned(act("deploy"))
    card, word = opened(plan=plan), WORDS[0]
    given = replace(approved(card), authentication=ACCOUNT, channel="terminal")
    entered = [e.WordDrawn("go", card.approval_digest, "terminal", card.expires_at),
               e.WordSpent("go", card.approval_digest, word, word, True, "terminal")]  # fmt: skip
    made = record(plan, card, *entered, given)["approvals"]
    assert [(a["who"], a["word"], a["authentication"], a["digest"]) for a in made] == [
        ("ceo", {"presented": word, "entered": word}, ACCOUNT, card.approval_digest)
    ]
    assert made[0]["at"].startswith(START.strftime("%Y-%m-%dT%H:%M"))
    standing = record(plan, card, approved(card))["approvals"]
    assert standing[0]["word"] is None and standing[0]["at"]


@pytest.mark.parametrize(
    ("facts", "state", "code"),
    [
        ([], "done", ""),
        ([e.Branched("rollback", "x", "critical", "unhealthy", "it fell", returns=False)], "rolled-back", "unhealthy"),
        ([e.Aborted("ceo", "terminal", "no")], "aborted", "aborted"),
        ([e.Halted("x", "tag-conflict", "two", "")], "halted", "tag-conflict"),
        ([e.Superseded("r-2")], "superseded", ""),
    ],
)
def test_the_outcome_is_how_the_run_ends(facts, state, code):
    made = record(*facts)["outcome"]
    assert (made["state"], made["reason_code"]) == (state, code)


def test_an_intent_says_nothing_of_an_outcome_and_names_the_ledgers_head():
    made = record(kind="intent")
    assert made["outcome"] is None
    assert made["ledger"] == {"chain": "acme", "seq": 9, "head": "9" * 64}
