"""Whose approval counts: every kind of person against every kind of policy, by a real policy on a real base branch (APR-4)."""

from __future__ import annotations

import itertools

import pytest

from approvals.quay import CEO, outcome, policy
from pilothouse import events as e
from pilothouse.app import os_user
from pilothouse.guard.clearance import ACCOUNT, may_approve
from pilothouse.model import Person
from story import clearance

ANN = {"id": "ann", "groups": ["ceo", "security"], "accounts": ["ann1", "ann2"]}
DAN = {"id": "dan", "groups": ["ceo"], "accounts": ["dan"]}
EVE = {"id": "eve", "groups": ["guests"], "accounts": ["eve"]}
NOBODY = {"id": "ghost", "groups": ["ceo"]}  # an approver without any account: only a signature could be theirs

STRANGERS = [
    "mallory", "root", "", "ceo", "CEO", "Ceo", "CAROL", "Carol", "carol ", " carol", "carol\n", "c\u0430rol", "carol\u200b",
    "\u202ecarol", "carol,bob", "carol@acme.test", "*", "carol\x00", "account:carol", "uid 0", "ghost", "ann", "nobody",
    "ceo@acme.test", "carol;ceo", "../carol", "$USER", "None", "true", "carol carol",
]  # fmt: skip


@pytest.mark.parametrize("account", STRANGERS, ids=[ascii(name) for name in STRANGERS])
def test_an_account_that_is_nobodys_approves_nothing_and_draws_no_word(berth, account):
    run = berth(policy(CEO, NOBODY)).waiting()
    before = len(run.facts())
    assert run.type(account=account) == "not-an-approver"
    assert len(run.facts()) == before
    assert not run.approved


POLICIES = {
    "recorded": policy(ANN, DAN, EVE, approval={"group": "ceo", "number": 1, "four_eyes": "record"}),
    "four eyes": policy(ANN, DAN, EVE, approval={"group": "ceo", "number": 1, "four_eyes": "require"}),
    "two": policy(ANN, DAN, EVE, approval={"group": "ceo", "number": 2, "four_eyes": "record"}),
    "signed": policy(ANN, DAN, EVE, approval={"group": "ceo", "number": 1, "signature": "require"}),
    "security": policy(ANN, DAN, EVE, approval={"group": "security", "number": 1}),
}
ACCOUNTS = ["ann1", "ann2", "dan", "eve", "mallory"]
STARTERS = ["ann1", "ann2", "ann", "dan", "bob"]


def expected(name, account, starter):
    """What policy says, told a second time and in other words."""
    who = {"ann1": "ann", "ann2": "ann"}.get(account, account)
    own = {"ann1": "ann", "ann2": "ann"}.get(starter, starter)
    if who == "mallory":
        return "not-an-approver"
    if name == "signed":
        return "authentication-refused"
    if who == "eve" or (name == "security" and who == "dan"):
        return "wrong-group"
    if name == "four eyes" and who == own:
        return "four-eyes"
    return "ok"


@pytest.mark.parametrize(("name", "account", "starter"), list(itertools.product(POLICIES, ACCOUNTS, STARTERS)))
def test_policy_says_whose_word_counts(berth, name, account, starter):
    run = berth(POLICIES[name]).waiting(by=starter)
    wanted = expected(name, account, starter)
    assert run.type(account=account) == wanted
    given = run.approvals()
    assert len(given) == (wanted == "ok")
    assert run.approved == (wanted == "ok" and name != "two")
    own = wanted == "ok" and given[0].who == {"ann1": "ann", "ann2": "ann"}.get(starter, starter)
    assert bool(given and given[0].exception) == own  # who approves their own start is an exception on the record
    assert bool(run.state.exceptions) == own


@pytest.mark.parametrize("accounts", list(itertools.product(["ann1", "ann2", "dan"], repeat=2)))
def test_two_of_two_are_two_people_whatever_their_accounts(berth, accounts):
    run = berth(POLICIES["two"]).waiting()
    assert run.type(account=accounts[0]) == "ok"
    assert not run.approved
    distinct = len({account.startswith("ann") for account in accounts}) == 2
    assert run.type(account=accounts[1]) == ("ok" if distinct else "approved-before")
    assert run.approved == distinct


@pytest.mark.parametrize("how", ["", "account ", "Account", "standing", "unauthenticated", "none", "mcp", "model", "chat",
                                 "persona", "web", "ssh-signature"])  # fmt: skip
@pytest.mark.parametrize("who", ["carol", "ceo"])
def test_a_person_known_in_any_other_way_than_policy_says_approves_nothing(quay, how, who):
    run = quay.waiting()
    refused = outcome(lambda: run.app.approve(run.run, Person(who, "terminal", how), lambda _card, word: word))
    assert refused in {"authentication-refused", "not-an-approver", "does-not-fit"}
    assert not run.approved


@pytest.mark.parametrize("variable", ["USER", "LOGNAME", "LNAME", "USERNAME", "HOME", "SUDO_USER", "SUDO_UID", "UID"])
def test_who_somebody_is_comes_from_the_kernel_and_no_variable(quay, monkeypatch, variable):
    monkeypatch.setenv(variable, "/home/carol" if variable == "HOME" else "carol")
    person = os_user("terminal")
    assert person.identity != "carol"
    run = quay.waiting()
    assert outcome(lambda: run.app.approve(run.run, person, lambda _card, word: word)) == "not-an-approver"
    assert not run.approved


@pytest.mark.parametrize("account", ["carol", "root", "ceo", "", "anybody"])
def test_an_empty_list_of_approvers_is_nobody(berth, account):
    run = berth(policy()).waiting()
    assert run.type(account=account) == "nobody-may-approve"
    assert not run.approved


@pytest.mark.parametrize("who", ["ceo", "ann", "", "root"])
@pytest.mark.parametrize("card", [None, "approvers", "requires", "authentications"])
def test_a_card_without_a_clearance_is_nobodys_to_approve(who, card):
    from pilothouse.guard.clearance import clearance_of

    whole = clearance()
    basis = {} if card is None else {"clearance": {**whole, card: []}}
    assert may_approve(clearance_of(basis), (), who, "account") is not None


@pytest.mark.parametrize("presence", ["applied", "absent"])
def test_only_an_approver_says_what_became_of_an_act(quay, presence):
    run = quay.waiting()
    assert run.type() == "ok"
    act = ("deploy", "deploy.apply", {"environment": "production"})
    run.tell(e.Intended(*act, "key", run.plan.digest, run.card.approval_digest, "main", 1))
    run.tell(e.Halted("deploy", "unknown-outcome", "who knows", ""))

    def settle(account, how=ACCOUNT):
        person = Person(account, "terminal", how)
        return outcome(lambda: run.app.resume(run.run, person, settle=f"deploy={presence}", reason="I looked"))

    before = run.facts()
    assert [settle(account) for account in ("mallory", "ceo", "bob", "")] == ["not-an-approver"] * 4
    assert settle("carol", "model") == "authentication-refused"
    assert run.facts() == before
    assert settle("carol") == "ok"
    (settled,) = [fact for fact in run.facts() if isinstance(fact, e.Settled)]
    assert (settled.who, settled.presence) == ("ceo", presence)  # the approver, not the account
