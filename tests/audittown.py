"""A product with an audit branch, and an export of it: what an auditor is given, and what somebody makes of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from pilothouse import events as e
from pilothouse.engine.recording import record_of
from pilothouse.exporting import export
from pilothouse.guard.fold import fold
from pilothouse.ledger.memory import MemoryJournal
from pilothouse.model import Workflow
from pilothouse.settings import Audit, Promotion
from pilothouse_tools.act import record as written
from pilothouse_tools.door import Arguments
from pilothouse_tools.observe import record as composed
from story import act, observed, planned, started

BRANCH = "compliance-archives"
AT = "2026-11-{:02d}T09:00:00.000000+00:00"
DAYS = ("2026-11-01", "2026-11-30")
WORKFLOW = Workflow("promote-audited", "Promote", "", (), {}, {}, "")
CONFIG = """\
version: 1
products:
  acme:
    title: Acme
    audit: {{public_key: {key}}}
    environments:
      production:
        url: https://acme.example
        deploy: {{model: push, branch: deploy/production}}
        health: {{path: /health, version: /version}}
"""


class Town:
    """A product whose base branch grew by two recorded promotions and one push past them."""

    def __init__(self, small, folder) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

        private = Ed25519PrivateKey.generate()
        (folder / "pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        self.small, self.journal = small, MemoryJournal()
        small.environ = {**small.environ, "RECORD_KEY": str(folder / "pem")}
        self.product = replace(
            small.product,
            forge=None,
            promotion=Promotion(),
            audit=Audit(signing_key="RECORD_KEY", public_key=self.public),
        )
        first = small.commit("feat: =SUM(1)", {"a": "1", "pilothouse.yml": CONFIG.format(key=self.public)})
        self.ship("r-2026-11-21-01", small.released, first, 21)
        self.pushed = small.commit("fix: at night, past everything", {"b": "1"})
        self.second = small.commit("feat: two", {"c": "1"})
        small.push("main")
        self.ship("r-2026-11-22-01", self.pushed, self.second, 22)
        self.anchor()

    def context(self, product=None, **changes):
        return self.small.context(product or self.product, **changes)

    def ship(self, run: str, one: str, other: str, day: int) -> None:
        """A run's events as the engine writes them, and its records on the remote."""
        context, at = self.context(), AT.format(day)
        rows = [
            act(kind, "record.write", checkpoint=None, reach="workspace",
                arguments={"kind": kind, "record": {"ref": f"{kind}-record.record", "type": "object"}})
            for kind in ("intent", "outcome")
        ]  # fmt: skip
        plan = planned(*rows)
        self.append(run, at, started(workflow="promote-audited", from_sha=one, to_sha=other, started_by="=cmd()"), plan)
        for number, kind in enumerate(("intent", "outcome")):
            events = [event for event in self.journal.read("acme") if event.run == run]
            known = record_of(fold(events), self.journal.head("acme"), self.product, WORKFLOW, events)
            known["acts"] = [{
                "step": "promote", "tool": "git.promote", "state": "done", "found": False, "reason_code": "",
                "summary": "", "started_at": at, "ended_at": at,
            }] if kind == "outcome" else []  # fmt: skip
            facts = composed.TOOLS[0].look(context, Arguments({"kind": kind, "record": known})).facts
            given = {"kind": kind, "record": facts["record"]}
            self.append(run, at, observed(f"{kind}-record", f"e-{2 * number}", facts, tool="record.compose"),
                        e.Intended(kind, "record.write", given, f"k-{kind}", plan.digest, None, "main", 1))  # fmt: skip
            written.TOOLS[0].apply(context, Arguments(given), None)
            found = written.TOOLS[0].probe(context, Arguments(given), "")
            self.append(run, at, e.Done(kind, f"e-{2 * number + 1}", found.facts, {}, found=False, summary="written"))
        self.append(run, at, e.Ended("done", ""))

    def append(self, run: str, at: str, *facts) -> None:
        self.journal.append("acme", run, facts, at)

    def anchor(self) -> None:
        head = self.journal.head("acme")
        self.small.git("tag", "-a", "v1", "-m", f"one\n\nPilothouse-Ledger: {head.seq} {head.hash}", self.second)
        self.small.git("push", "-q", "origin", "v1")

    def export(self, folder, context=None):
        return export([context or self.context()], self.journal, *DAYS, folder)


def rehash(folder) -> None:
    """The manifest as somebody would make it anew who tampers with care."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_bytes())
    manifest["files"] = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*") if path.is_file() and path != file
    }  # fmt: skip
    file.write_text(json.dumps(manifest))
