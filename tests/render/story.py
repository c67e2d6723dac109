"""A small recorded world: runs told as facts, so that screens can be looked at without any engine."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pilothouse.canonical import Json, digest, sha256_hex
from pilothouse.events import (
    Approved,
    Branched,
    CheckpointOpened,
    Done,
    Ended,
    Event,
    Fact,
    Failed,
    Intended,
    Judged,
    Observed,
    Planned,
    Refused,
    Sampled,
    Skipped,
    Started,
    VerdictGiven,
    WatchClosed,
    WatchOpened,
    WordDrawn,
    WordSpent,
)
from pilothouse.guard.clearance import ACCOUNT, Clearance, Requirement
from pilothouse.guard.fold import fold
from pilothouse.guard.state import RunState
from pilothouse.render.course import Times
from pilothouse.settings import Approver

RUN = "r-2026-11-21-01"
SHA = "4f2a91c0d1e2f30415263748596a7b8c9d0e1f2a"
BRANCH_SHA = "91be07d0d1e2f30415263748596a7b8c9d0e1f2a"
START = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)

PHASES = (
    ("readiness", "Readiness", "release-manager", "main", ("contents:observe", "ci:observe", "blockers:observe",
                                                           "unreleased:observe", "ready:verdict")),
    ("regression", "Regression", "qa-engineer", "main", ("e2e:observe", "smoke:observe", "performance:observe")),
    ("version", "Version and notes", "technical-writer", "main", ("version:observe", "changelog:draft", "notes:draft")),
    ("branch", "Release branch", "release-manager", "main", ("branch:act",)),
    ("staging", "Staging", "devops-engineer", "main", ("staging-deploy:act", "staging-health:observe")),
    ("signoff", "Staging sign-off", "qa-engineer", "main", ("staging-smoke:observe", "staging-signoff:verdict")),
    ("go", "Go to production?", "conductor", "main", ("go:checkpoint",)),
    ("production", "Production", "devops-engineer", "main", ("production-deploy:act", "production-health:observe")),
    ("watch", "Watch", "support-engineer", "main", ("watch:watch",)),
    ("finalise", "Finalise", "release-manager", "main", ("tag:act", "publish:act")),
    ("announce", "Announce", "conductor", "main", ("announce:act",)),
    ("rollback", "Rollback", "devops-engineer", "rollback", ("rollback-deploy:act", "rollback-health:observe")),
    ("aftermath", "Aftermath", "support-engineer", "rollback", ("issue:act",)),
)  # fmt: skip

ACTS: dict[str, tuple[str, str, dict[str, Json]]] = {
    "branch": ("git.release_branch", "main", {"branch": "release/acme/v1.4.0"}),
    "staging-deploy": ("deploy.apply", "main", {"environment": "staging", "version": "1.4.0"}),
    "production-deploy": ("deploy.apply", "main", {"environment": "production", "version": "1.4.0"}),
    "tag": ("git.tag", "main", {"tag": "v1.4.0", "commit": BRANCH_SHA}),
    "publish": ("forge.release", "main", {"tag": "v1.4.0"}),
    "announce": ("notify.send", "main", {"event": "released"}),
    "rollback-deploy": ("deploy.apply", "rollback", {"environment": "production", "version": "1.3.0"}),
    "issue": ("forge.issue", "rollback", {"title": "1.4.0 was rolled back"}),
}
CLEARANCE = Clearance(
    (Requirement("ceo", 1, "go"),),
    (Approver("ceo@acme.test", ("ceo",), ("ann", pwd.getpwuid(os.getuid()).pw_name)),),
    (ACCOUNT,),
    "record",
    "bob",
    "b" * 40,
).as_json()
COVERED = {"production-deploy", "tag", "publish", "rollback-deploy", "issue"}

CARD = """\
acme 1.3.0 → 1.4.0   91be07d   staging https://staging.acme.test

For users     faster search; saved filters; 3 fixes
Changes       9 PRs · 23 commits · 41 files (+812 −240)
Exceptions    none

Approving does this, and nothing else:
   1 deploy 1.4.0 (91be07d) to production
   2 tag v1.4.0 on 91be07d
"""


def _outline() -> tuple[dict[str, Json], ...]:
    return tuple(
        {
            "id": step.split(":")[0], "agent": agent, "kind": step.split(":")[1], "phase": phase, "phase_title": title,
            "phase_agent": agent, "branch": branch,
        }
        for phase, title, agent, branch, steps in PHASES
        for step in steps
    )  # fmt: skip


@dataclass
class Story:
    """A run being told: facts with the seconds that pass before each."""

    product: str = "acme"
    run: str = RUN
    start: datetime = START
    events: list[Event] = field(default_factory=list)
    evidence: int = 0
    plan: str = ""
    approval: str = ""

    def tell(self, fact: Fact, after: float = 0.0) -> None:
        """One more fact."""
        before = datetime.fromisoformat(self.events[-1].at) if self.events else self.start
        at = (before + timedelta(seconds=after)).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
        seq = len(self.events) + 1
        self.events.append(Event(self.product, seq, f"{seq - 1:064x}", self.run, at, fact, f"{seq:064x}"))

    @property
    def state(self) -> RunState:
        return fold(self.events)

    @property
    def times(self) -> Times:
        return Times.of(self.events)

    @property
    def now(self) -> datetime:
        """A second after the last event."""
        return datetime.fromisoformat(self.events[-1].at) + timedelta(seconds=1)

    def started(self) -> None:
        self.tell(
            Started(
                product=self.product, workflow="release", workflow_source="", config_source="", prompts={},
                inputs={"version": ""}, started_by="ceo@acme.test", channel="terminal", started_on="2026-11-21",
                from_version="1.3.0", from_sha="a" * 40, to_sha=SHA, base_ref="main",
                targets={"production": {"url": "https://acme.test"}, "staging": {"url": "https://staging.acme.test"}},
                global_head="0" * 64, supersedes=None, outline=_outline(), tool_version="0.1.0",
            )
        )  # fmt: skip

    def observed(self, step: str, facts: dict[str, Json], summary: str, after: float = 1.0) -> str:
        evidence = self.next_evidence()
        self.tell(Observed(step, evidence, f"tool.{step}", {}, facts, digest(facts), SHA, summary), after)
        return evidence

    def next_evidence(self) -> str:
        self.evidence += 1
        return f"e-{self.evidence:03d}"

    def judged(self, step: str, gate: str, message: str, evidence: str, code: str = "ok") -> None:
        self.tell(Judged(step, gate, code == "ok", code, message, (evidence,)))

    def go(self, step: str, agent: str, *cites: str) -> None:
        self.tell(VerdictGiven(step, agent, "go", ("gates passed",), cites, "scripted"))

    def planned(self) -> None:
        acts: tuple[dict[str, Json], ...] = tuple(
            {
                "step": step, "tool": tool, "branch": branch, "arguments": arguments,
                "reach": "production" if step in COVERED else "staging", "undoable": True, "effect": "K",
                "checkpoint": "go" if step in COVERED else None,
            }
            for step, (tool, branch, arguments) in ACTS.items()
        )  # fmt: skip
        basis: dict[str, Json] = {"watch": {"window_ms": 1_800_000, "every_ms": 60_000}}
        self.plan = digest({"acts": list(acts), "basis": basis})
        self.tell(Planned(self.plan, acts, basis))

    def intend(self, step: str, after: float = 0.1, attempt: int = 1) -> None:
        tool, branch, arguments = ACTS[step]
        approval = self.approval if step in COVERED else None
        self.tell(Intended(step, tool, arguments, f"key-{step}", self.plan, approval, branch, attempt), after)

    def act(self, step: str, facts: dict[str, Json], summary: str, after: float = 1.0) -> None:
        self.intend(step)
        self.tell(Done(step, self.next_evidence(), facts, {}, found=False, summary=summary), after)

    def opened(self) -> None:
        acts: list[Json] = [{"step": step, "arguments": arguments} for step, (_, _, arguments) in ACTS.items()]
        basis: dict[str, Json] = {
            "plan": self.plan,
            "acts": acts,
            "card": sha256_hex(CARD.encode()),
            "clearance": CLEARANCE,
        }
        self.approval = digest(basis)
        expires = (self.now + timedelta(days=3)).isoformat()
        self.tell(CheckpointOpened("go", self.approval, CARD, basis, {}, expires, ()), 0.2)

    def approved(self, after: float = 240.0) -> None:
        until = (self.now + timedelta(minutes=15)).isoformat()
        self.tell(WordDrawn("go", self.approval, "terminal", until), after)
        self.tell(WordSpent("go", self.approval, "SHIP", "SHIP", matched=True, channel="terminal"))
        self.tell(Approved("go", self.approval, "ceo@acme.test", "terminal", "account", None, ""))


def refused(story: Story | None = None) -> Story:
    """Refused at readiness: CI is red and a blocker is open."""
    story = story or Story()
    story.started()
    story.observed("contents", {"pulls": [1]}, "9 PRs merged")
    ci = story.observed("ci", {"checks": []}, "CI 5/6")
    bugs = story.observed("blockers", {"issues": []}, "1 blocking bug")
    story.observed("unreleased", {"entries": 5}, "changelog ok")
    hint = "if the check was at fault, re-run it and resume; if the code was, mend it and ship again"
    story.judged("ready", "ci-green", "not green on 4f2a91c: web-test (failure)", ci, "ci-red")
    story.judged("ready", "no-blockers", "open and blocking: #240 Prices are wrong", bugs, "blockers-open")
    message = "not green on 4f2a91c: web-test (failure); open and blocking: #240 Prices are wrong"
    story.tell(Refused("ready", "ci-red", message, hint, (ci, bugs)))
    return story


def suite_red(story: Story | None = None) -> Story:
    """The end-to-end suite failed, and wrote a long log that tries to paint over the screen."""
    story = story or Story()
    story.started()
    story.observed("contents", {"pulls": [1]}, "9 PRs merged")
    log = "".join(f"line {number}\n" for number in range(1, 41)) + "AssertionError: \x1b[2Jfive is not six\n"
    facts: dict[str, Json] = {"suite": "e2e", "configured": True, "passed": False, "total": 10, "failed": 1, "log": log}
    evidence = story.observed("e2e", facts, "e2e: 9/10", 8.0)
    story.judged("smoke", "e2e-passed", "e2e did not pass (1 of 10 failed)", evidence, "tests-red")
    told = "e2e did not pass (1 of 10 failed)"
    story.tell(Refused("smoke", "tests-red", told, "mend it and ship again", (evidence,)))
    return story


def command_failed(story: Story | None = None) -> Story:
    """The command that deploys to staging failed and said why in several lines."""
    story = story or readied_until_branch()
    story.intend("staging-deploy")
    told, hint = "bin/deploy exited with 1: disk quota exceeded", "look at the command's output"
    detail = "pushing layer 1\npushing layer 2\ndisk quota exceeded"
    story.tell(Failed("staging-deploy", "command-failed", told, hint, detail), 3.0)
    story.tell(Refused("staging-deploy", "command-failed", told, hint, ()))
    return story


def staged_only(story: Story | None = None) -> Story:
    """A workflow of a user's own that ends on staging: no production act, no checkpoint."""
    story = readied(story)
    first = story.events[0]
    assert isinstance(first.fact, Started)
    ends = next(number for number, row in enumerate(first.fact.outline) if row["phase"] == "go")
    story.events[0] = replace(first, fact=replace(first.fact, workflow="stage", outline=first.fact.outline[:ends]))
    story.tell(Ended("done", "Stage finished"))
    return story


def readied(story: Story | None = None) -> Story:
    """Everything up to the staging sign-off went well."""
    story = story or Story()
    story.started()
    story.observed("contents", {"pulls": [1], "commits": 23}, "9 PRs merged", 0.4)
    ci = story.observed("ci", {"checks": []}, "CI 6/6 green", 2.0)
    bugs = story.observed("blockers", {"issues": []}, "0 blocking bugs", 0.6)
    story.observed("unreleased", {"entries": 5}, "changelog ok", 0.3)
    story.judged("ready", "ci-green", "CI 6/6 green", ci)
    story.go("ready", "release-manager", ci, bugs)
    story.observed("e2e", {"passed": True}, "e2e 42/42", 8.0)
    story.observed("smoke", {"passed": True}, "smoke 7/7", 3.0)
    story.tell(Skipped("performance", "its condition does not hold for this release"))
    story.observed("version", {"version": "1.4.0", "tag": "v1.4.0"}, "1.4.0 (2 features, 3 fixes)", 0.2)
    story.observed("changelog", {"text": "# Changelog"}, "CHANGELOG, package.json", 0.2)
    story.observed("notes", {"headline": "Faster search; saved filters", "text": "# 1.4.0\n"}, "notes", 0.2)
    story.planned()
    story.act("branch", {"branch": "release/acme/v1.4.0", "sha": BRANCH_SHA}, "release/acme/v1.4.0 @ 91be07d", 0.4)
    deployed: dict[str, Json] = {"version": "1.4.0", "url": "https://staging.acme.test"}
    story.act("staging-deploy", deployed, "deployed 1.4.0", 4.0)
    story.observed("staging-health", {"healthy": True}, "healthy 3 of 3", 2.0)
    smoke = story.observed("staging-smoke", {"passed": True}, "smoke 7/7", 2.0)
    story.go("staging-signoff", "qa-engineer", smoke)
    return story


def waiting(story: Story | None = None) -> Story:
    """The checkpoint is open."""
    story = readied(story)
    story.opened()
    return story


def watching(story: Story | None = None, looks: Iterable[str] = ("healthy",)) -> Story:
    """Approved, deployed, and under watch."""
    story = waiting(story)
    story.approved()
    deployed: dict[str, Json] = {"version": "1.4.0", "commit": BRANCH_SHA, "url": "https://acme.test"}
    story.act("production-deploy", deployed, "deployed 1.4.0", 6.0)
    story.observed("production-health", {"healthy": True}, "healthy 3 of 3", 2.0)
    ends = (story.now + timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    story.tell(WatchOpened("watch", ends, {}, {"window_ms": 1_800_000, "every_ms": 60_000}))
    for outcome in looks:
        story.tell(
            Sampled("watch", story.next_evidence(), {}, outcome, "error rate 0.42 % vs 0.45 % · p95 182 ms vs 180 ms"),
            60,
        )
    return story


def done(story: Story | None = None) -> Story:
    """Shipped."""
    story = watching(story)
    message = "error rate 0.42 % vs 0.45 % · p95 182 ms vs 180 ms"
    story.tell(Sampled("watch", story.next_evidence(), {}, "healthy", message), 30 * 60)
    story.tell(WatchClosed("watch", "healthy", message, ()))
    story.act("tag", {"tag": "v1.4.0"}, "tag v1.4.0 @ 91be07d", 0.5)
    story.act("publish", {"url": "https://forge.test/acme/releases/v1.4.0"}, "release v1.4.0 published", 0.5)
    story.act("announce", {}, "2 people told", 0.1)
    story.tell(Ended("done", "Release finished"))
    return story


def rolled_back(story: Story | None = None) -> Story:
    """Worse under watch, and taken back."""
    story = watching(story)
    message = "error rate 4.10 % vs 0.45 %"
    story.tell(Sampled("watch", story.next_evidence(), {}, "worse", message), 180)
    story.tell(WatchClosed("watch", "worse", message, ()))
    story.tell(Branched("rollback", "watch", "high", "watch-worse", message, returns=False))
    story.act("rollback-deploy", {"version": "1.3.0"}, "deployed 1.3.0", 100.0)
    story.observed("rollback-health", {"healthy": True}, "healthy 3 of 3", 8.0)
    story.act("issue", {"url": "https://forge.test/acme/issues/214", "number": 214}, "issue #214", 0.5)
    story.tell(Ended("rolled-back", message))
    return story


def crashed(story: Story | None = None) -> Story:
    """The conductor died in the middle of the production deploy."""
    story = waiting(story)
    story.approved()
    story.intend("production-deploy")
    return story


def deploy_failed_on_staging() -> Story:
    """Staging refused the deployment; the run rests."""
    story = readied_until_branch()
    story.intend("staging-deploy")
    story.tell(Failed("staging-deploy", "deploy-failed", "the hook said no", "look at the hook's log", ""), 3.0)
    story.tell(Refused("staging-deploy", "deploy-failed", "the hook said no", "look at the hook's log", ()))
    return story


def held(story: Story | None = None) -> Story:
    """The QA Engineer holds the staging sign-off."""
    story = readied(story)
    story.events = [event for event in story.events if getattr(event.fact, "step", "") != "staging-signoff"]
    story.tell(
        VerdictGiven("staging-signoff", "qa-engineer", "hold", ("two smoke tests are flaky",), ("e-013",), "model")
    )
    return story


def hostile() -> Story:
    """A commit, a title and a requester that try to paint over the screen."""
    story = Story()
    story.started()
    nasty = '\x1b[2J\u202egreen\u200b <script>alert(1)</script> & "quoted"'
    story.observed("contents", {"pulls": []}, nasty)
    evidence = story.observed("ci", {"checks": []}, "CI 5/6")
    story.judged("ready", "ci-green", nasty, evidence, "ci-red")
    story.tell(Refused("ready", "ci-red", nasty, nasty, (evidence,)))
    return story


def readied_until_branch(story: Story | None = None) -> Story:
    """Until the release branch."""
    whole = readied(story)
    cut_at = next(i for i, event in enumerate(whole.events) if getattr(event.fact, "step", "") == "staging-deploy")
    whole.events = whole.events[:cut_at]
    return whole
