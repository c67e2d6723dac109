"""N of M and additional approvals on whole releases in the sandbox world, up to production and the audit (APR-4, I11, I21)."""

from __future__ import annotations

import json
import subprocess

import pytest

from approvals.quay import IDENTITY, git, key, signed
from pilothouse import harbour as sandbox
from pilothouse.app import Request, os_user
from pilothouse.auditing import examined
from pilothouse.errors import RequestRefused
from shipping import state_of

WHO = os_user("test")


def push(world, files, title):
    """Commit to the remote's main from somebody's own clone, and wait for CI."""
    clone = world.folder / "somebody"
    if not clone.exists():
        subprocess.run(["git", "clone", "-q", str(world.origin), str(clone)], check=True)
    git(clone, "pull", "-q", "--rebase", "origin", "main")
    for path, text in files.items():
        file = clone / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    git(clone, "add", "-A")
    subprocess.run(["git", "-C", str(clone), *IDENTITY, "commit", "-qm", title], check=True)
    git(clone, "push", "-q", "origin", "HEAD:main")
    sandbox.settle(world.folder)
    subprocess.run(["git", "-C", str(world.project), "pull", "-q", "--ff-only", "origin", "main"], check=True)


def with_policy(world, people, approval, additional):
    text = (world.project / "pilothouse.yml").read_text()
    head, _, tail = text.partition("approvers:\n")
    kept = tail[tail.index("  checkpoint_expires:") :]
    rules = f"policy:\n  approval: {json.dumps(approval)}\n  additional: {json.dumps(additional)}\n"
    return f"{head}approvers: {json.dumps(people)}\n{rules}{kept}"


def waiting(app):
    standing = app.follow(app.start(Request("acme"), WHO))
    assert standing.wait is not None, (standing.state.refused, standing.state.halted)
    assert standing.wait.checkpoint == "go"
    return standing.state


def test_two_people_with_two_keys_ship_what_touches_ci_and_data(harbour, conduct, tmp_path):
    world = harbour(scripted_approval=False)
    keys = {name: key(tmp_path, name) for name in ("ann", "dan", "cleo")}
    groups = {"ann": ["ceo"], "dan": ["ceo"], "cleo": ["ci", "data"]}
    people = [{"id": name, "groups": groups[name], "ssh_key": keys[name][1]} for name in keys]
    approval = {"group": "ceo", "number": 2, "four_eyes": "require", "signature": "require"}
    additional = {"ci": {"group": "ci", "number": 1}, "destructive_sql": {"group": "data", "number": 1},
                  "policy": {"group": "ceo", "number": 2}}  # fmt: skip
    push(world, {"pilothouse.yml": with_policy(world, people, approval, additional)}, "chore: who may approve (#301)")
    push(world, {".github/workflows/ci.yml": "on: push\n"}, "ci: another check (#302)")
    push(world, {"db/cleanup.sql": "DROP TABLE old_items;\n"}, "chore: clean up (#303)")
    app = conduct(world)
    run = waiting(app).run
    opened = state_of(app, run).checkpoints["go"].opened
    told = " ".join(opened.card.split())
    assert "Needs 2 of ceo (ann, dan)" in told
    assert "1 of ci (cleo): changes what CI runs: .github/workflows/ci.yml" in told
    assert "1 of data (cleo): a migration destroys data: db/cleanup.sql, line 1: DROP TABLE" in told
    with pytest.raises(RequestRefused) as refused:
        app.approve(run, WHO, lambda _card, word: word)
    assert refused.value.reason_code in {"not-an-approver", "authentication-refused"}
    statement = app.statement(run)
    for name in ("ann", "dan"):
        state = app.approve_signed(run, name, "ssh", signed(keys[name][0], statement, tmp_path))
        assert state.checkpoints["go"].approved is None
    assert app.follow(run).wait.checkpoint == "go"  # still one to come
    with pytest.raises(RequestRefused) as refused:
        app.approve_signed(run, "cleo", "ssh", signed(keys["ann"][0], statement, tmp_path))
    assert refused.value.reason_code == "bad-signature"
    app.approve_signed(run, "cleo", "ssh", signed(keys["cleo"][0], statement, tmp_path))
    state = app.follow(run).state
    assert state.standing() == "done", (state.refused, state.halted)
    found = examined(app.journal.read("acme"))
    assert (found.given, found.signed, found.problems) == (3, 3, ())


def test_what_moves_after_the_approval_voids_it_and_the_next_card_says_what(harbour, conduct):
    world = harbour(scripted_approval=False)
    app = conduct(world)
    run = waiting(app).run
    first = state_of(app, run).checkpoints["go"].opened
    push(world, {"docs.txt": "mended\n"}, "fix: mend it (#304)")
    app.approve(run, WHO, lambda _card, word: word)
    standing = app.follow(run)
    again = state_of(app, run).checkpoints["go"]
    assert standing.wait.checkpoint == "go", (standing.state.refused, standing.state.halted)
    assert again.approved is None
    assert again.opened.approval_digest != first.approval_digest
    lines = again.opened.card.splitlines()
    assert lines[2].startswith("CHANGED"), again.opened.card
    assert "main moved" in lines[3]
