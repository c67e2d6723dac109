"""Approvals on real worlds: whose file counts, what is shown, what a wrong word does (APR-1, APR-2, APR-3, APR-5, APR-6)."""

from __future__ import annotations

import subprocess
from itertools import pairwise

import pytest

from pilothouse import harbour as sandbox
from pilothouse.app import Request, os_user
from pilothouse.errors import RequestRefused
from shipping import state_of

WHO = os_user("test")
APPROVALS = """\
version: 1
approvals:
  - {checkpoint: go, product: acme, workflow: release, approver: mallory, standing: true, expires: 2099-01-01}
"""


def waiting(app):
    run = app.start(Request("acme"), WHO)
    standing = app.follow(run, approve=app.approve_scripted)
    assert standing.wait.checkpoint == "go", (standing.state.refused, standing.state.halted)
    return standing.state


def test_an_approvals_file_in_the_working_tree_opens_nothing(harbour, conduct):
    world = harbour(scripted_approval=False)
    config = world.project / "pilothouse.yml"
    config.write_text(config.read_text().replace("policy:\n", "policy:\n  scripted_approvals: approvals.yml\n"))
    (world.project / "approvals.yml").write_text(APPROVALS)
    state = waiting(conduct(world))
    assert state.checkpoints["go"].approved is None


HOSTILE = "feat(search): \x1b[2J\x1b[31mapproved\x1b[0m \u202egnihtyna \u200bhidden | [x](http://evil.test) (#271)"


def test_hostile_text_is_shown_escaped_and_marked_on_the_card(harbour, conduct, tmp_path):
    world = harbour(scripted_approval=False)
    clone = tmp_path / "somebody"
    subprocess.run(["git", "clone", "-q", str(world.origin), str(clone)], check=True)
    commit = [
        "git",
        "-c",
        "user.name=mallory",
        "-c",
        "user.email=m@x.test",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        HOSTILE,
    ]
    subprocess.run(commit, cwd=clone, check=True)
    subprocess.run(["git", "push", "-q", "origin", "HEAD:main"], cwd=clone, check=True)
    sandbox.settle(world.folder)
    card = waiting(conduct(world)).checkpoints["go"].opened.card
    assert "gnihtyna" in card
    for bad in ("\x1b", "\u202e", "\u200b"):
        assert bad not in card
    assert all(len(line) <= 76 for line in card.splitlines())


def test_words_are_exact_single_use_and_three_wrong_ones_end_the_run(harbour, conduct):
    app = conduct(harbour(scripted_approval=False))
    run = waiting(app).run
    seen = []

    def wrong(card, word):
        seen.append(word)
        assert "Approving does this" in card
        return word.lower()

    for expected in ("word-wrong", "word-wrong", "words-spent"):
        with pytest.raises(RequestRefused) as refusal:
            app.approve(run, WHO, wrong)
        assert refusal.value.reason_code == expected
    assert all(one != other for one, other in pairwise(seen))
    state = state_of(app, run)
    assert state.standing() == "aborted"
    with pytest.raises(RequestRefused):
        app.approve(run, WHO, lambda _card, word: word)


def test_the_right_word_approves_exactly_this_card_and_is_written_down_only_when_spent(harbour, conduct):
    app = conduct(harbour(scripted_approval=False))
    run = waiting(app).run
    kept = []

    def right(_card, word):
        ledger = b"".join(data for _, _, data in app.journal.entries("acme"))
        kept.append((word, f'"{word}"'.encode() in ledger))
        return word

    state = app.approve(run, WHO, right)
    word, was_there = kept[0]
    assert not was_there
    checkpoint = state.checkpoints["go"]
    assert checkpoint.approved.approval_digest == checkpoint.opened.approval_digest
    assert checkpoint.approved.authentication == "account"
    assert state.last_word == word
    with pytest.raises(RequestRefused) as refusal:
        app.approve(run, WHO, right)
    assert refusal.value.reason_code in {"already-approved", "nothing-to-approve"}


def test_a_word_that_comes_after_fifteen_minutes_approves_nothing(harbour, conduct):
    app = conduct(harbour(scripted_approval=False))
    run = waiting(app).run

    def slow(_card, word):
        app.clock.slept += 15 * 60
        return word

    with pytest.raises(RequestRefused) as refusal:
        app.approve(run, WHO, slow)
    assert refusal.value.reason_code == "word-late"
    assert app.approve(run, WHO, lambda _card, word: word).checkpoints["go"].approved is not None


def test_abort_as_the_word_and_a_rejection_are_durable(harbour, conduct):
    app = conduct(harbour(scripted_approval=False))
    run = waiting(app).run
    with pytest.raises(RequestRefused) as refusal:
        app.approve(run, WHO, lambda _card, _word: "ABORT")
    assert refusal.value.reason_code == "aborted"
    for again in (lambda: app.resume(run, WHO), lambda: app.reject(run, WHO, "no"), lambda: app.abort(run, WHO, "x")):
        with pytest.raises(RequestRefused):
            again()
    assert state_of(app, run).standing() == "aborted"
