"""Who may approve is read from the remote's base branch: what lies in a working tree grants nobody anything (APR-6, I11)."""

from __future__ import annotations

import shutil

import pytest

from approvals.quay import CEO, Quay, git, outcome, policy
from pilothouse import events as e
from pilothouse.approvalfile import parse
from pilothouse.canonical import digest
from pilothouse.errors import InvalidFile, RequestRefused, ToolFailed
from pilothouse.model import Person

MALLORY = {"id": "mallory", "groups": ["ceo"], "accounts": ["mallory"]}


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("also", ["", "approvals.yml", "state.yml"])
def test_a_working_tree_that_grants_itself_rights_grants_none(fresh, committed, also):
    granted = policy(CEO, MALLORY, scripted="approvals.yml")
    (fresh.project / "pilothouse.yml").write_text(granted)
    if also:
        (fresh.project / also).write_text(standing(approver="mallory") if also == "approvals.yml" else "")
    if committed:  # on a branch of one's own, even one that is called as the base is: it is not the remote's
        git(fresh.project, "add", "-A")
        git(fresh.project, "commit", "-qm", "chore: more approvers")
    run = fresh.waiting(config=granted, to_sha=fresh.head)
    assert run.type(account="mallory") == "not-an-approver"
    assert not scripted(run)
    assert not run.approved
    assert "pilothouse.yml (not pushed)" in str([item.why for item in run.needed().requires])


@pytest.mark.parametrize("source", ["same", "own"])
def test_a_base_of_ones_own_is_not_the_base(fresh, source):
    own = policy(MALLORY, base="mallory/main")
    fresh.push({"pilothouse.yml": own if source == "own" else policy(MALLORY)}, branch="mallory/main")
    (fresh.project / "pilothouse.yml").write_text(own)
    with pytest.raises(RequestRefused) as refused:
        fresh.waiting(config=own, to_sha=fresh.head, base_ref="mallory/main")
    assert refused.value.reason_code == "base-not-named"


def test_a_base_that_the_default_branch_names_is_one(fresh):
    named = policy(CEO, base="stable")
    fresh.push({"pilothouse.yml": named})
    fresh.push({"pilothouse.yml": named}, branch="stable")
    run = fresh.waiting(config=named, base_ref="stable")
    assert run.type() == "ok"
    assert run.approved


@pytest.fixture
def fork(fresh):
    """A remote of mallory's own, whose base branch makes mallory an approver."""
    place = fresh.origin.parent / "fork.git"
    shutil.copytree(fresh.origin, place)
    git(fresh.project, "remote", "add", "fork", str(place))
    own = policy(MALLORY, remote="fork")
    theirs = Quay(place, fresh.origin.parent / "their-clone", own)
    git(fresh.origin.parent, "clone", "-q", str(place), str(theirs.project))
    theirs.push({"pilothouse.yml": own})
    git(fresh.project, "fetch", "-q", "fork")
    return own, theirs.head


def test_a_remote_of_ones_own_is_not_the_remote(fresh, fork):
    own, head = fork
    (fresh.project / "pilothouse.yml").write_text(own)
    with pytest.raises(RequestRefused) as refused:
        fresh.waiting(config=own, to_sha=head, from_sha=head)
    assert refused.value.reason_code == "remote-not-named"


def test_a_remote_that_origins_default_branch_names_is_one(fresh, fork):
    own, head = fork
    fresh.push({"pilothouse.yml": policy(CEO, remote="fork")})
    run = fresh.waiting(config=own, to_sha=head, from_sha=head)
    assert run.type(account="mallory") == "ok"


def test_a_clone_without_an_origin_has_the_remote_that_its_own_configuration_knows(fresh, fork):
    own, head = fork
    git(fresh.project, "remote", "remove", "origin")
    assert fresh.waiting(config=own, to_sha=head, from_sha=head).type(account="mallory") == "ok"


TAKEN_BACK = {
    "gone": policy(MALLORY),
    "nobody": policy(),
    "another account": policy({**CEO, "accounts": ["carl"]}),
    "another group": policy({**CEO, "groups": ["guests"]}, MALLORY),
    "signatures only": policy(CEO, approval={"group": "ceo", "number": 1, "signature": "require"}),
    "two are needed": policy(CEO, MALLORY, approval={"group": "ceo", "number": 2}),
    "another group is asked": policy(CEO, {**MALLORY, "groups": ["board"]}, approval={"group": "board", "number": 1}),
    "four eyes": policy(CEO, MALLORY, approval={"group": "ceo", "number": 1, "four_eyes": "require"}),
    "an account more": policy({**CEO, "accounts": ["carol", "carl"]}),
    "broken": "version: 1\nproducts: [\n",
    "of another version": "version: 99\n",
    "empty": "",
    "no file": None,
}
CODES = {
    "approver-changed", "clearance-changed", "not-an-approver", "nobody-may-approve", "wrong-group",
    "authentication-refused", "four-eyes", "policy-unreadable",
}  # fmt: skip


@pytest.mark.parametrize("when", ["before", "while the word is on the screen"])
@pytest.mark.parametrize("how", TAKEN_BACK)
def test_what_was_taken_back_on_the_base_branch_counts_no_more(fresh, how, when):
    run = fresh.waiting()
    if when == "before":
        fresh.push({"pilothouse.yml": TAKEN_BACK[how]})
        assert run.type() in CODES
    else:
        assert run.type(meanwhile=lambda: fresh.push({"pilothouse.yml": TAKEN_BACK[how]})) in CODES
        assert run.facts()[-1].matched  # the word is spent all the same, and never drawn next time
    assert run.approvals() == []


@pytest.mark.parametrize("how", ["gone", "another group"])
def test_who_was_taken_off_is_no_longer_one_of_two(fresh, how):
    both = [CEO, MALLORY]
    fresh.push({"pilothouse.yml": policy(*both, approval={"group": "ceo", "number": 2})})
    run = fresh.waiting(config=policy(*both, approval={"group": "ceo", "number": 2}))
    assert run.type(account="mallory") == "ok"
    left = [CEO, {"id": "dan", "groups": ["ceo"]}] + ([{**MALLORY, "groups": ["guests"]}] if how != "gone" else [])
    fresh.push({"pilothouse.yml": policy(*left, approval={"group": "ceo", "number": 2})})
    assert run.type() == "approver-changed"
    assert not run.approved


def test_a_base_branch_that_cannot_be_read_approves_nothing(fresh):
    run = fresh.waiting()
    kept = fresh.origin.with_name("elsewhere.git")
    with pytest.raises(ToolFailed):
        run.type(meanwhile=lambda: shutil.move(fresh.origin, kept))
    assert run.approvals() == []
    assert run.facts()[-1].matched  # spent
    shutil.move(kept, fresh.origin)
    assert run.type() == "ok"


def test_what_is_the_same_on_a_newer_base_still_counts(fresh):
    run = fresh.waiting()
    fresh.push({"README.md": "hello\n"})
    assert run.type() == "ok"


TOUCHING = {
    ".github/workflows/ci.yml": "ci", "agents/qa.md": "policy", "prompts/notes.txt": "prompts",
    "package-lock.json": "lock_files", "CLAUDE.md": "prompts",
}  # fmt: skip
GROUPS = {name: {"group": name.replace("_", "-"), "number": 1} for name in ("ci", "policy", "prompts", "lock_files")}


@pytest.mark.parametrize("path", TOUCHING)
def test_a_range_that_touches_the_rules_needs_one_more_whatever_the_run_says_it_saw(tmp_path, path):
    kind = TOUCHING[path]
    people = [CEO, *({"id": f"p-{name}", "groups": [name.replace("_", "-")], "accounts": [name]} for name in GROUPS)]
    rules = policy(*people, additional=GROUPS)
    quay = Quay.build(tmp_path, rules)
    quay.push({path: "changed\n"})
    run = quay.waiting()
    assert [need.group for need in run.needed().requires] == ["ceo", kind.replace("_", "-")]
    assert path in run.needed().requires[1].why
    for account in ("mallory", *({*GROUPS} - {kind})):
        assert run.type(account=account) in {"not-an-approver", "wrong-group"}
    assert run.type() == "ok"
    assert not run.approved
    assert run.type(account=kind) == "ok"
    assert run.approved


def standing(**changes):
    entry = {
        "checkpoint": "go", "product": "acme", "workflow": "release", "approver": "ceo", "standing": "true",
        "expires": "2099-01-01",
    } | changes  # fmt: skip
    return "version: 1\napprovals:\n  - {" + ", ".join(f"{name}: {value}" for name, value in entry.items()) + "}\n"


def scripted(run):
    """Whether the approvals file opens the checkpoint; a file that cannot be read opens nothing."""
    try:
        return run.app.approve_scripted(run.state, "go")
    except (RequestRefused, InvalidFile):
        return False


REFUSED = {
    "expired": standing(expires="2026-11-20"),
    "expired this minute": standing(expires="2026-11-21T09:00:00+00:00"),
    "expired in another zone": standing(expires="2026-11-21T09:59:00+01:00"),
    "other product": standing(product="other"),
    "other workflow": standing(workflow="rollback"),
    "other checkpoint": standing(checkpoint="stop"),
    "product in capitals": standing(product="ACME"),
    "a pattern": standing(product="'*'"),
    "not on the list": standing(approver="mallory"),
    "an account": standing(approver="carol"),
    "not standing": standing(standing="false"),
    "no entries": "version: 1\napprovals: []\n",
    "without expiry": "version: 1\napprovals:\n  - {checkpoint: go, product: acme, workflow: release, approver: ceo, standing: true}\n",
    "no date": standing(expires="never"),
    "unknown key": standing(everything="true"),
    "broken": "version: 1\napprovals: [",
    "newer": standing().replace("version: 1", "version: 2"),
    "missing": None,
}


@pytest.fixture
def pier(tmp_path):
    def build(file, *people, **rules):
        text = policy(*(people or (CEO,)), scripted="approvals.yml", **rules)
        return Quay.build(tmp_path, text, **({"approvals.yml": file} if file is not None else {})).waiting()

    return build


@pytest.mark.parametrize("path", [*TOUCHING, "db/cleanup.sql"])
def test_what_a_range_touches_no_standing_approval_has_seen_and_a_person_looks(tmp_path, path):
    quay = Quay.build(tmp_path, policy(CEO, scripted="approvals.yml"), **{"approvals.yml": standing()})
    quay.push({path: "DROP TABLE orders;\n"})
    run = quay.waiting()
    assert not scripted(run)
    assert not scripted(run)  # and asking again changes nothing
    assert ([given.authentication for given in run.approvals()], run.approved) == (["standing"], False)
    assert run.type() == "ok"  # the same approver, who has seen the card now
    assert run.approved


@pytest.mark.parametrize("how", REFUSED)
def test_a_standing_approval_of_something_else_opens_nothing(pier, how):
    run = pier(REFUSED[how])
    assert not scripted(run)
    assert run.approvals() == []


def test_a_standing_approval_opens_what_it_names_and_is_an_exception_on_the_record(pier):
    run = pier(standing())
    assert scripted(run)
    assert run.approved
    assert "standing approval of ceo" in run.approvals()[0].exception


def test_a_standing_approval_is_no_second_person(pier):
    run = pier(standing(), CEO, MALLORY, approval={"group": "ceo", "number": 2})
    assert run.type() == "ok"
    assert not scripted(run)
    assert not run.approved


def test_a_standing_approval_counts_nothing_where_a_signature_is_asked(pier):
    key = {"ssh_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"}
    run = pier(standing(), {**CEO, **key}, approval={"group": "ceo", "number": 1, "signature": "require"})
    assert not scripted(run)
    assert run.approvals() == []


@pytest.mark.parametrize("how", ["file", "policy", "person"])
def test_a_standing_approval_that_was_taken_back_opens_nothing(pier, how):
    run = pier(standing())
    run.quay.push({
        "file": {"approvals.yml": "version: 1\napprovals: []\n"},
        "policy": {"pilothouse.yml": policy(CEO)},
        "person": {"pilothouse.yml": policy(MALLORY, scripted="approvals.yml")},
    }[how])  # fmt: skip
    assert not scripted(run)
    assert run.approvals() == []


@pytest.mark.parametrize("text", ["", "approvals: []\n", "version: '1'\napprovals: []\n", "[]", "version: 1\n"])
def test_an_approvals_file_is_read_strictly(text):
    try:
        assert parse(text, "approvals.yml") == ()
    except InvalidFile:
        return
    assert text == "version: 1\n"  # no entries at all


@pytest.mark.parametrize("identity", ["mallory", "root", "", "carol\n"])
def test_a_stranger_cannot_reject_either(quay, identity):
    run = quay.waiting()
    stranger = Person(identity, "terminal", "account")
    assert outcome(lambda: run.app.reject(run.run, stranger, "no")) == "may-not-reject"
    assert not run.state.over


def seen_live(sha):
    """What the run's look at production answered."""
    facts = {"version": "1.2.0", "sha": sha, "reachable": True, "head": sha, "tree": ""}
    return e.Observed(
        "live", "e-1", "deploy.current", {"environment": "production"}, facts, digest(facts), sha, "1.2.0 is live"
    )


def test_a_version_tag_on_yesterdays_commit_hides_nothing_from_whoever_must_approve(fresh):
    ships = fresh.push({".github/workflows/ci.yml": "on: push\n", "migrations/9-drop.sql": "DROP TABLE users;\n"})
    # Somebody pushed a tag onto it, so that the range of the run begins there and holds nothing.
    run = fresh.waiting(from_sha=ships, to_sha=ships)
    assert [item.why for item in run.look().requires] == ["go"]
    run.tell(seen_live(fresh.head))
    whys = " / ".join(item.why for item in run.look().requires)
    assert "changes what CI runs: .github/workflows/ci.yml" in whys
    assert "DROP TABLE" in whys


def test_whoever_ships_through_a_freeze_needs_an_approval_of_the_emergency(fresh):
    fresh.push(
        {
            "pilothouse.yml": policy(
                CEO, {**MALLORY, "groups": ["board"]}, additional={"emergency": {"group": "board", "number": 1}}
            )
        }
    )
    run = fresh.waiting(to_sha=fresh.head)
    assert not any("emergency" in item.why for item in run.look().requires)
    run.tell(e.Overridden("freeze/year-end", "ceo", "terminal", "account", "customers cannot pay"))
    asked = [item for item in run.look().requires if "emergency" in item.why]
    assert [(item.group, item.number, item.why) for item in asked] == [
        ("board", 1, "an emergency: ships through freeze/year-end")
    ]
