"""A small real world for approvals: a remote with a base branch, a project whose run waits for approval, and people.

The policy is on a real remote and read by real git; the run is told to a real journal (in memory for speed), and
everything goes through the facade that every surface calls.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pilothouse import config
from pilothouse import events as e
from pilothouse.app import Pilothouse
from pilothouse.canonical import sha256_hex
from pilothouse.clearances import clearance
from pilothouse.composition import toolbox
from pilothouse.errors import RequestRefused
from pilothouse.guard.approval import approval_digest
from pilothouse.guard.clearance import ACCOUNT, NAMESPACE
from pilothouse.guard.fold import fold
from pilothouse.ledger.memory import MemoryJournal
from pilothouse.model import Person
from pilothouse.playbook.find import list_workflows
from story import act, planned, started

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
PRODUCTION = (
    "{url: https://acme.test, deploy: {model: push, branch: deploy/production}, health: {path: /health, version: /v}}"
)
RUN = "r-2026-11-21-01"
CEO = {"id": "ceo", "groups": ["ceo"], "accounts": ["carol"]}
IDENTITY = ("-c", "user.name=ann", "-c", "user.email=ann@acme.test")
WORKFLOWS = {found.name: found.text() for found in list_workflows()}


class Hands:
    """A clock that moves only when it is told to."""

    def __init__(self, start=START):
        self.moment = start

    def now(self):
        self.moment += timedelta(milliseconds=1)
        return self.moment

    def sleep(self, seconds):
        self.moment += timedelta(seconds=seconds)


def git(folder, *argv):
    done = subprocess.run(["git", "-C", str(folder), *IDENTITY, *argv], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def policy(*approvers, approval=None, additional=None, scripted=None, base="main", remote="origin"):
    """A pilothouse.yml with these approvers and what they must do; as short as may be, since it is read often."""
    rows = [
        "version: 1\n",
        "products:\n",
        f"  acme: {{base: {base}, remote: {remote}, environments: {{production: {PRODUCTION}}}}}\n",
    ]
    rows += [f"approvers: {json.dumps(list(approvers))}\n", "policy:\n", "  unconfigured_suites: allow\n"]
    rows += [f"  approval: {json.dumps(approval)}\n"] if approval else []
    rows += [f"  additional: {json.dumps(additional)}\n"] if additional else []
    rows += [f"  scripted_approvals: {scripted}\n"] if scripted else []
    return "".join(rows)


@dataclass
class Quay:
    """A bare remote with a base branch, and a clone of it that is the project."""

    origin: Path
    project: Path
    config: str
    head: str = ""
    cards: list = field(default_factory=list)  # what was read of the base branch before, by run and commit

    @classmethod
    def build(cls, folder, config, **files):
        origin, project = folder / "origin.git", folder / "project"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(origin)], check=True)
        subprocess.run(["git", "init", "-q", "-b", "main", str(project)], check=True)
        git(project, "remote", "add", "origin", str(origin))
        made = cls(origin, project, config)
        made.push({"pilothouse.yml": config, **files})
        return made

    def push(self, files, *, branch="main"):
        """Commit files (None: delete) to a branch of the remote from somebody else's clone; the commit."""
        clone = self.origin.parent / f"clone-{os.urandom(4).hex()}"
        subprocess.run(["git", "clone", "-q", str(self.origin), str(clone)], check=True, capture_output=True)
        for path, text in files.items():
            file = clone / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                file.unlink()
            else:
                file.write_text(text)
        git(clone, "add", "-A")
        git(clone, "commit", "-q", "--allow-empty", "-m", "chore: change")
        git(clone, "push", "-q", "origin", f"HEAD:refs/heads/{branch}")
        sha = git(clone, "rev-parse", "HEAD")
        git(self.project, "fetch", "-q", "origin")
        if branch == "main":
            git(self.project, "reset", "-q", "--hard", sha)
            self.head = self.head or sha
        return sha

    def waiting(self, *, by="bob", run=RUN, workflow="release", journal=None, config=None, from_sha=None, **more):
        """A run whose checkpoint is open, as the engine would have opened it."""
        return Waiting(self, by=by, run=run, workflow=workflow, journal=journal, source=config or self.config,
                       from_sha=from_sha or self.head, **more)  # fmt: skip


class Waiting:
    """One run that waits for approval."""

    def __init__(self, quay, *, by, run, workflow, journal, source, from_sha, to_sha=None, expires=3 * 86400, card="card",
                 base_ref="main", start=START):  # fmt: skip
        self.quay, self.run, self.clock = quay, run, Hands(start)
        self.journal = journal if journal is not None else MemoryJournal()
        self.app = Pilothouse(quay.project, environ=dict(os.environ), clock=self.clock, _journal=self.journal)
        to_sha = to_sha or git(quay.origin, "rev-parse", "main")
        self.started = started(
            workflow=workflow, workflow_source=WORKFLOWS[workflow], config_source=source, started_by=by,
            from_sha=from_sha, to_sha=to_sha, base_ref=base_ref,
        )  # fmt: skip
        self.plan = planned(act("deploy"))
        self.tell(self.started, self.plan)
        self.open(expires=expires, card=card)

    def tell(self, *facts):
        for fact in facts:
            self.journal.append("acme", self.run, [fact], self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"))

    def needed(self):
        """What clearance the engine would put on the card now."""
        seen = (self.started, git(self.quay.origin, "rev-parse", "main"))
        found = next((known for what, known in self.quay.cards if what == seen), None)
        if found is None:
            found = self.look()
            self.quay.cards.append((seen, found))
        return found

    def look(self):
        """The same, read from the base branch at this moment."""
        tools = toolbox(
            self.app, config.parse(self.started.config_source, "p"), "acme", self.run, START.isoformat(), {}
        )
        return clearance(tools, self.state, "go", "pilothouse.yml")

    def open(self, *, expires=3 * 86400, card="card", **more):
        shown = [{name: item[name] for name in ("step", "tool", "branch", "arguments")} for item in self.plan.acts]
        basis = {
            "run": self.run, "checkpoint": "go", "plan": self.plan.digest, "acts": shown, "pins": {}, "card": sha256_hex(card.encode()),
            "clearance": self.needed().as_json(), **more,
        }  # fmt: skip
        until = (self.clock.now() + timedelta(seconds=expires)).isoformat()
        self.card = e.CheckpointOpened("go", approval_digest(basis), card, basis, {}, until, ())
        self.tell(self.card)

    def facts(self):
        return [event.fact for event in self.journal.read("acme") if event.run == self.run]

    @property
    def state(self):
        return fold(event for event in self.journal.read("acme") if event.run == self.run)

    @property
    def approved(self):
        """Whether the act behind the checkpoint may happen now."""
        return self.state.checkpoints["go"].approved is not None

    def approvals(self):
        return [fact for fact in self.facts() if isinstance(fact, e.Approved)]

    def type(self, entry=lambda word: word, *, account="carol", meanwhile=lambda: None):
        """Approve as an account, typing what ``entry`` makes of the word; the reason code of the refusal, or "ok"."""

        def ask(_card, word):
            meanwhile()
            return entry(word)

        return outcome(lambda: self.app.approve(self.run, Person(account, "terminal", ACCOUNT), ask))

    def sign(self, approver, signature, channel="ssh"):
        return outcome(lambda: self.app.approve_signed(self.run, approver, channel, signature))


def outcome(act_of):
    try:
        act_of()
    except RequestRefused as refusal:
        return refusal.reason_code
    return "ok"


def key(folder, name, kind="ed25519"):
    """An SSH key pair: the private file, the public line."""
    file = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(file)], check=True)
    return file, " ".join(file.with_suffix(".pub").read_text().split()[:2])


def signed(private, statement, folder, namespace=NAMESPACE):
    """A signature by the plain tool, as an approver would make it elsewhere."""
    message = folder / f"message-{os.urandom(4).hex()}"
    message.write_bytes(statement)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", str(private), "-n", namespace, str(message)], check=True,
                   capture_output=True)  # fmt: skip
    return Path(f"{message}.sig").read_text()
