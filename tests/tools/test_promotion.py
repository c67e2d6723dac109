"""The acts of a promotion: the base moves to one exact commit, forward only; and a revert that goes the same way."""

from __future__ import annotations

import pytest

from pilothouse.errors import ToolFailed
from pilothouse.model import Presence

LOSES_THE_REPLY = "kill -9 $PPID"


@pytest.fixture
def ahead(small):
    """staging is two commits ahead of main."""
    small.git("checkout", "-q", "-b", "staging")
    small.commit("feat: one (#1)", {"one": "1"})
    head = small.commit("feat: two (#2)", {"two": "2"})
    small.push("staging")
    return head


def promote(small, commit, **changes):
    return {"into": "main", "commit": commit, "from": small.released, **changes}


def looked(small):
    return small.toolbox().observe("git.promotion", {"branch": "staging", "base": "main"}).facts


def test_how_far_a_branch_is_ahead_and_where_the_clone_is(small, ahead):
    facts = looked(small)
    assert (facts["ahead"], facts["behind"], facts["on"]) == (2, 0, "staging")
    assert (facts["head_sha"], facts["base_sha"]) == (ahead, small.released)
    small.git("checkout", "-q", "--detach", ahead)
    assert looked(small)["on"] == ""  # as a CI job checks out
    with pytest.raises(ToolFailed) as missing:
        small.toolbox().observe("git.promotion", {"branch": "next", "base": "main"})
    assert missing.value.reason_code == "branch-missing"


def test_the_base_moves_to_exactly_that_commit_and_nothing_else_changes(small, ahead, do):
    before, box = small.untouched(), small.toolbox()
    later = small.commit("feat: three", {"three": "3"})
    small.push("staging")
    before = small.untouched()
    seen, done = do(box, "git.promote", promote(small, ahead))
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    assert (small.head("main"), small.head("staging")) == (ahead, later)
    assert done.moves == {"ref:refs/heads/main": ahead}
    assert small.untouched() == before
    assert box.probe("git.promote", promote(small, ahead), "k-1").presence is Presence.APPLIED


def test_what_has_diverged_is_named_and_never_forced(small, ahead, do):
    small.git("checkout", "-q", "main")
    theirs = small.commit("fix: straight to main", {"hot": "fix"})
    small.push("main")
    assert looked(small)["behind"] == 1
    box = small.toolbox()
    found = box.probe("git.promote", promote(small, ahead), "k-1")
    assert found.presence is Presence.CONFLICT and "has 1 commit that" in found.detail
    for expected in (small.released, theirs):
        with pytest.raises(ToolFailed) as refused:
            do(box, "git.promote", promote(small, ahead, **{"from": expected}))
        assert refused.value.reason_code in {"ref-moved", "not-fast-forward"}
    assert small.head("main") == theirs


def test_who_was_first_is_not_overrun(small, ahead, do):
    """Main moved along the very same line meanwhile: what was approved is not what it would move from."""
    first = small.git("rev-parse", f"{ahead}^")
    small.git("push", "-q", "origin", f"{first}:refs/heads/main")
    box = small.toolbox()
    assert box.pins("git.promote", promote(small, ahead)) == {"ref:refs/heads/main": first}
    with pytest.raises(ToolFailed) as refused:
        do(box, "git.promote", promote(small, ahead))
    assert refused.value.reason_code == "ref-moved"
    assert small.head("main") == first


def revert(small, bad):
    return {"branch": "staging", "bad": bad, "good": small.released}


def test_a_revert_is_the_good_tree_on_top_of_the_bad_commit(small, ahead, do):
    box = small.toolbox()
    do(box, "git.promote", promote(small, ahead))
    seen, done = do(box, "git.revert", revert(small, ahead))
    sha = done.facts["sha"]
    assert (seen.presence, done.presence, done.facts["merge"]) == (Presence.ABSENT, Presence.APPLIED, "")
    assert small.head("staging") == sha
    assert small.git("rev-parse", f"{sha}^", cwd=small.origin) == ahead
    assert small.git("diff", "--name-only", small.released, sha, cwd=small.origin) == ""


def test_a_revert_keeps_what_came_since_and_the_base_can_move_to_it(small, ahead, do):
    box = small.toolbox()
    do(box, "git.promote", promote(small, ahead))
    small.commit("feat: three", {"three": "3"})
    small.push("staging")
    _, done = do(box, "git.revert", revert(small, ahead))
    sha, head = done.facts["sha"], small.head("staging")
    assert done.facts["merge"] == head != sha
    files = set(small.git("ls-tree", "--name-only", head, cwd=small.origin).split())
    assert "three" in files and not files & {"one", "two"}
    _, moved = do(box, "git.promote", promote(small, sha, **{"from": ahead}))
    assert moved.presence is Presence.APPLIED and small.head("main") == sha
    facts = looked(small)
    assert (facts["behind"], facts["ahead"]) == (0, 2)  # the next promotion is a fast-forward again


def test_a_revert_that_conflicts_is_named_and_pushes_nothing(small, ahead, do):
    box = small.toolbox()
    do(box, "git.promote", promote(small, ahead))
    later = small.commit("feat: more of one", {"one": "1 and more"})
    small.push("staging")
    with pytest.raises(ToolFailed) as refused:
        do(box, "git.revert", revert(small, ahead))
    assert refused.value.reason_code == "merge-conflict" and "one" in refused.value.message
    assert small.head("staging") == later
    # The revert lies on a branch of its own, for a person to merge; then the act is found to be done.
    name = refused.value.hint.split()[1]
    small.git("fetch", "-q", "origin")
    small.git("merge", "-q", "-s", "ours", "-m", "merge the revert by hand", f"origin/{name}")
    small.push("staging")
    assert box.probe("git.revert", revert(small, ahead), "k-1").presence is Presence.APPLIED


def test_what_lies_on_another_line_is_not_reverted(small, ahead):
    small.git("checkout", "-q", "-b", "aside", small.released)
    aside = small.commit("feat: aside", {"aside": "x"})
    small.push("aside")
    with pytest.raises(ToolFailed) as refused:
        small.toolbox().probe("git.revert", {"branch": "staging", "bad": ahead, "good": aside}, "k-1")
    assert refused.value.reason_code == "not-an-ancestor"


def test_the_version_of_a_commit_is_what_its_first_version_file_names(small, ahead):
    named = small.toolbox().observe("version.named", {"sha": ahead}).facts["version"]
    assert named == "1.3.0"


def test_where_the_ledger_stands_is_a_trailer_only_where_an_audit_is_configured(small):
    head = {"chain": "acme", "seq": 7, "hash": "a" * 64}
    assert small.toolbox().observe("ledger.anchor", {"head": head}).facts["trailer"] == ""
    with pytest.raises(ToolFailed):
        small.toolbox().observe("ledger.anchor", {"head": {"seq": 7, "hash": "short"}})
