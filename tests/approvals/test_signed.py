"""An SSH signature counts where it is the approver's, over this very card, for this purpose; nothing else does (APR-4)."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from approvals.quay import CEO, Quay, key, outcome, policy, signed
from pilothouse.auditing import demand_genuine, examined
from pilothouse.errors import ImpossibleHistory, LedgerCorrupt
from pilothouse.events import Approved
from pilothouse.guard.clearance import statement
from pilothouse.guard.fold import fold

RULES = {"group": "ceo", "number": 2, "four_eyes": "record", "signature": "require"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """ann's key, dan's key, and one that nobody named."""
    folder = tmp_path_factory.mktemp("keys")
    return {name: key(folder, name) for name in ("ann", "dan", "mallory")}


@pytest.fixture(scope="module")
def world(keys, tmp_path_factory):
    people = [
        {"id": name, "groups": ["ceo"], "accounts": [f"{name}1"], "ssh_key": keys[name][1]} for name in ("ann", "dan")
    ]
    keyless = {"id": "kim", "groups": ["ceo"], "accounts": ["kim"]}
    return Quay.build(tmp_path_factory.mktemp("signed"), policy(*people, keyless, approval=RULES))


def said(waiting, *, run="", checkpoint="go", digest=""):
    return statement(run or waiting.run, checkpoint, digest or waiting.card.approval_digest)


def test_two_signatures_of_two_people_open_the_checkpoint_and_verify_later(world, keys, tmp_path):
    run = world.waiting()
    assert said(run) == run.app.statement(run.run)
    assert run.sign("ann", signed(keys["ann"][0], said(run), tmp_path)) == "ok"
    assert not run.approved
    assert run.sign("dan", signed(keys["dan"][0], said(run), tmp_path)) == "ok"
    assert run.approved
    found = examined(run.journal.read("acme"))
    assert (found.given, found.signed, found.problems) == (2, 2, ())


STATEMENTS = {
    "another run": lambda run: said(run, run="r-2026-11-21-02"),
    "another checkpoint": lambda run: said(run, checkpoint="stop"),
    "another digest": lambda run: said(run, digest="0" * 64),
    "digest in capitals": lambda run: said(run, digest=run.card.approval_digest.upper()),
    "nothing": lambda _run: b"",
    "the digest alone": lambda run: run.card.approval_digest.encode(),
    "the card's text": lambda run: run.card.card.encode(),
    "without its last line end": lambda run: said(run)[:-1],
    "a line more": lambda run: said(run) + b"and everything else\n",
    "crlf": lambda run: said(run).replace(b"\n", b"\r\n"),
    "another version": lambda run: said(run).replace(b"approval 1", b"approval 2"),
    "a rejection": lambda run: said(run).replace(b"approval 1", b"rejection 1"),
}


@pytest.mark.parametrize("what", STATEMENTS)
def test_a_signature_over_something_else_counts_nothing(world, keys, tmp_path, what):
    run = world.waiting()
    assert run.sign("ann", signed(keys["ann"][0], STATEMENTS[what](run), tmp_path)) == "bad-signature"
    assert run.approvals() == []


@pytest.mark.parametrize(
    "namespace", ["git", "file", "pilothouse", "pilothouse-approval2", "Pilothouse-approval", "email"]
)
def test_a_signature_for_another_purpose_counts_nothing(world, keys, tmp_path, namespace):
    run = world.waiting()
    assert run.sign("ann", signed(keys["ann"][0], said(run), tmp_path, namespace)) == "bad-signature"
    assert run.approvals() == []


CLAIMS = list(itertools.product(["ann", "dan", "kim", "mallory", "ann1", "ANN", "", "ann ", "*", "kim1"], ["ann", "dan", "mallory"]))  # fmt: skip


@pytest.mark.parametrize(("claimed", "held"), CLAIMS)
def test_only_the_key_of_the_approver_who_is_named_counts(world, keys, tmp_path, claimed, held):
    run = world.waiting()
    found = run.sign(claimed, signed(keys[held][0], said(run), tmp_path))
    if claimed == held and claimed != "mallory":
        assert found == "ok"
        assert [given.who for given in run.approvals()] == [claimed]
    else:
        assert found in {"bad-signature", "not-an-approver"}
        assert run.approvals() == []
    assert not run.approved  # two are needed


SPOILT = {
    "empty": lambda _text: "",
    "yes": lambda _text: "yes",
    "cut": lambda text: text[: len(text) // 2],
    "without its head": lambda text: text.split("\n", 1)[1],
    "without its foot": lambda text: text.rsplit("\n", 2)[0],
    "twice": lambda text: text + text,
    "with a second one behind": lambda text: (
        text + "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"
    ),
    "one letter": lambda text: text[:100] + ("A" if text[100] != "A" else "B") + text[101:],
    "head of another kind": lambda text: text.replace("SSH SIGNATURE", "PGP SIGNATURE"),
    "public key": lambda _text: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
    "huge": lambda text: text + "A" * 30_000,
    "letters beyond ascii": lambda text: text.replace("U", "\uff35", 1),
    "null": lambda text: text[:80] + "\x00" + text[81:],
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_signature_counts_nothing(world, keys, tmp_path, how):
    run = world.waiting()
    assert run.sign("ann", SPOILT[how](signed(keys["ann"][0], said(run), tmp_path))) == "bad-signature"
    assert run.approvals() == []


@pytest.mark.parametrize("account", ["ann1", "dan1", "kim"])
def test_a_typed_word_is_no_signature(world, account):
    run = world.waiting()
    assert run.type(account=account) == "authentication-refused"
    assert run.approvals() == []


def test_one_person_signs_once(world, keys, tmp_path):
    run = world.waiting()
    assert run.sign("ann", signed(keys["ann"][0], said(run), tmp_path)) == "ok"
    assert run.sign("ann", signed(keys["ann"][0], said(run), tmp_path)) == "approved-before"
    assert not run.approved


def test_a_signature_of_another_runs_card_is_no_replay(world, keys, tmp_path):
    first = world.waiting(run="r-2026-11-21-01")
    kept = signed(keys["ann"][0], said(first), tmp_path)
    assert first.sign("ann", kept) == "ok"
    second = world.waiting(run="r-2026-11-21-02")
    assert second.sign("ann", kept) == "bad-signature"


def test_a_signature_over_the_card_of_before_is_void_on_the_next(world, keys, tmp_path):
    run, other = world.waiting(card="one"), world.waiting(card="two")
    assert other.sign("ann", signed(keys["ann"][0], said(run), tmp_path)) == "bad-signature"


@pytest.mark.parametrize("changes", ["another key", "no key", "gone", "another group"])
def test_a_key_that_was_taken_back_on_the_base_branch_counts_nothing(keys, tmp_path, changes):
    ann = {"id": "ann", "groups": ["ceo"], "accounts": ["ann1"], "ssh_key": keys["ann"][1]}
    world = Quay.build(tmp_path, policy(ann, CEO))
    run = world.waiting()
    made = signed(keys["ann"][0], said(run), tmp_path)
    now = {
        "another key": [{**ann, "ssh_key": keys["dan"][1]}, CEO],
        "no key": [{name: value for name, value in ann.items() if name != "ssh_key"}, CEO],
        "gone": [CEO],
        "another group": [{**ann, "groups": ["guests"]}, CEO],
    }[changes]
    world.push({"pilothouse.yml": policy(*now)})
    assert run.sign("ann", made) in {"approver-changed", "not-an-approver", "wrong-group"}
    assert run.approvals() == []


def forge(run, **changes):
    """An approval as somebody with the ledger's file would write it in."""
    fields = {
        "checkpoint": "go", "approval_digest": run.card.approval_digest, "who": "ann", "channel": "ssh",
        "authentication": "ssh-signature", "exception": None, "signature": "",
    } | changes  # fmt: skip
    run.tell(Approved(**fields))


def test_a_signature_that_was_written_in_is_named_by_the_audit_and_nobody_acts_on_it(world, keys, tmp_path):
    genuine = world.waiting()
    assert genuine.sign("ann", signed(keys["ann"][0], said(genuine), tmp_path)) == "ok"
    demand_genuine(genuine.journal.read("acme"))
    for forged in (signed(keys["mallory"][0], said(genuine), tmp_path), "-----BEGIN SSH SIGNATURE-----"):
        run = world.waiting()
        forge(run, signature=forged)
        problems = examined(run.journal.read("acme")).problems
        assert [problem.kind for problem in problems] == ["bad-signature"]
        assert "signature of ann at go does not verify" in problems[0].message
        with pytest.raises(LedgerCorrupt):
            demand_genuine(run.journal.read("acme"))
        with pytest.raises(LedgerCorrupt):
            run.app.advance(run.run)


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": ""},
        {"authentication": "account", "signature": "-----BEGIN SSH SIGNATURE-----"},
        {"authentication": "standing", "signature": ""},
        {"who": "mallory", "signature": "x"},
        {"approval_digest": "0" * 64, "signature": "x"},
        {"checkpoint": "stop", "signature": "x"},
    ],
)
def test_an_approval_that_was_written_in_by_hand_does_not_fold(world, changes):
    run = world.waiting()
    forge(run, **changes)
    with pytest.raises(ImpossibleHistory):
        _ = run.state
    assert [problem.kind for problem in examined(run.journal.read("acme")).problems][:1] == ["impossible"]


def test_a_signature_moved_to_another_approver_of_the_same_history_is_found(world, keys, tmp_path):
    run = world.waiting()
    assert run.sign("ann", signed(keys["ann"][0], said(run), tmp_path)) == "ok"
    events = list(run.journal.read("acme"))
    moved = dataclasses.replace(events[-1], fact=dataclasses.replace(events[-1].fact, who="dan"))
    assert [problem.kind for problem in examined([*events[:-1], moved]).problems] == ["bad-signature"]
    assert fold(events).checkpoints["go"].approvals[0].who == "ann"


def test_a_call_that_only_says_it_was_signed_approves_nothing(world):
    from pilothouse.model import Person

    run = world.waiting()
    claims = Person("ann", "terminal", "ssh-signature")
    assert outcome(lambda: run.app.approve(run.run, claims, lambda _card, word: word)) == "does-not-fit"
    assert run.approvals() == []
