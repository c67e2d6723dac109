"""Acts on refs: absent, applied, conflict, lost reply, late landing, stale lease; and the clone stays as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.model import Presence
from pilothouse.settings import VersionFile, Versioning

# The reference has moved, the answer is lost: the remote's side dies before it can say so.
LOSES_THE_REPLY = "kill -9 $PPID"
BRANCH = "release/acme/v1.4.0"


def branch_arguments(small, **changes):
    text = (small.clone / "CHANGELOG.md").read_text()
    values = {
        "branch": BRANCH,
        "base": small.released,
        "version": "1.4.0",
        "changelog": text + "x\n",
        "date": "2026-11-21",
    }
    return {**values, **changes}


def merge_arguments(small, commit):
    return {"branch": BRANCH, "into": "main", "commit": commit, "version": "1.4.0"}


def tag_arguments(commit):
    return {"tag": "v1.4.0", "commit": commit, "message": "### Added\n\n- Saved filters"}


@pytest.fixture
def released(small, do):
    """The release branch's commit, pushed."""
    return do(small.toolbox(), "git.release_branch", branch_arguments(small))[1].facts["sha"]


# -- release branch


def test_a_release_branch_carries_changelog_and_version_files_and_nothing_else(small, do):
    before = small.untouched()
    seen, done = do(small.toolbox(), "git.release_branch", branch_arguments(small))
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    sha = done.facts["sha"]
    assert small.head(BRANCH) == sha
    assert done.moves == {f"ref:refs/heads/{BRANCH}": sha}
    assert small.git("rev-parse", f"{sha}^@", cwd=small.origin) == small.released
    changed = small.git("diff", "--name-only", small.released, sha, cwd=small.origin).split()
    assert changed == ["CHANGELOG.md", "app/version.py", "package.json"]
    assert small.git("show", f"{sha}:package.json", cwd=small.origin) == '{\n  "name": "acme",\n  "version": "1.4.0"\n}'
    assert small.untouched() == before


def test_a_dirty_working_tree_and_index_stay_byte_for_byte_as_they_were(small, do):
    (small.clone / "package.json").write_text("half-finished work")
    (small.clone / "staged.txt").write_text("staged")
    small.git("add", "staged.txt")
    small.git("checkout", "-q", "-b", "feature")
    before = small.untouched()
    _, done = do(small.toolbox(), "git.release_branch", branch_arguments(small))
    commit = done.facts["sha"]
    do(small.toolbox(), "git.merge", merge_arguments(small, commit))
    do(small.toolbox(), "git.tag", tag_arguments(commit))
    do(small.toolbox(), "git.delete_branch", {"branch": BRANCH, "commit": commit, "into": "main"})
    assert small.untouched() == before


def test_the_same_arguments_make_the_same_sha_on_another_machine(small, do):
    _, first = do(small.toolbox(), "git.release_branch", branch_arguments(small))
    again = small.toolbox(scratch="elsewhere").probe("git.release_branch", branch_arguments(small), "k-2")
    assert again.presence is Presence.APPLIED
    assert again.facts == first.facts


def test_a_branch_that_somebody_else_made_is_a_conflict_and_stays(small, allow):
    small.push("main", BRANCH)
    box, arguments = small.toolbox(), branch_arguments(small)
    assert box.probe("git.release_branch", arguments, "k-1").presence is Presence.CONFLICT
    with pytest.raises(ToolFailed) as refused:
        box.apply("git.release_branch", arguments, allow("git.release_branch", arguments))
    assert refused.value.reason_code == "ref-moved"
    assert small.head(BRANCH) == small.released


def test_a_superseded_branch_is_built_upon_never_forced(small, do):
    _, first = do(small.toolbox(), "git.release_branch", branch_arguments(small))
    old = first.facts["sha"]
    fixed = small.commit("fix: the last thing", {"app/x.py": "1"})
    small.push("main")
    arguments = branch_arguments(small, base=fixed, supersedes=old)
    seen, done = do(small.toolbox(), "git.release_branch", arguments)
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    assert small.git("rev-parse", f"{done.facts['sha']}^@", cwd=small.origin).split() == [fixed, old]


def test_a_push_whose_reply_is_lost_is_judged_by_the_read_back(small, do):
    small.hook("post-receive", LOSES_THE_REPLY)
    _, done = do(small.toolbox(), "git.release_branch", branch_arguments(small))
    assert done.presence is Presence.APPLIED
    assert small.head(BRANCH) == done.facts["sha"]


def test_a_push_that_the_remote_refuses_is_refused_by_name(small, allow):
    small.hook("pre-receive", "echo protected >&2; exit 1")
    box, arguments = small.toolbox(), branch_arguments(small)
    with pytest.raises(ToolFailed) as refused:
        box.apply("git.release_branch", arguments, allow("git.release_branch", arguments))
    assert refused.value.reason_code == "push-refused"
    assert small.head(BRANCH) == ""


def test_a_push_that_lands_after_its_failure_is_found_and_not_repeated(small, allow):
    box, arguments = small.toolbox(), branch_arguments(small)
    small.hook("pre-receive", "exit 1")
    with pytest.raises(ToolFailed):
        box.apply("git.release_branch", arguments, allow("git.release_branch", arguments))
    small.hook("pre-receive", "")
    # It lands late: the same commit, by other hands.
    small.toolbox(scratch="late").apply("git.release_branch", arguments, allow("git.release_branch", arguments))
    landed = small.head(BRANCH)
    assert box.probe("git.release_branch", arguments, "k-1").presence is Presence.APPLIED
    box.apply("git.release_branch", arguments, allow("git.release_branch", arguments))
    assert small.head(BRANCH) == landed


def test_a_remote_that_is_gone_is_unreachable_not_absent(small):
    box = small.toolbox()
    small.origin.rename(small.folder / "gone.git")
    with pytest.raises(Unreachable) as failed:
        box.probe("git.release_branch", branch_arguments(small), "k-1")
    assert failed.value.reason_code == "remote-unreachable"


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (VersionFile("missing.json"), "does not exist"),
        (VersionFile("CHANGELOG.md", r"(\d+\.\d+\.\d+)"), "matches its pattern"),
        (VersionFile("CHANGELOG.md", "nowhere (x)"), "0 times"),
        (VersionFile("run.sh"), "no known format"),
    ],
)
def test_a_version_file_without_exactly_one_version_is_refused_by_name(small, file, why):
    product = replace(small.product, versioning=Versioning(files=(file,)))
    with pytest.raises(ToolFailed, match=why) as refused:
        small.toolbox(product).probe("git.release_branch", branch_arguments(small), "k-1")
    assert refused.value.reason_code == "version-file"
    assert refused.value.hint


# -- merge


def test_a_merge_has_both_parents_and_tells_where_main_is_now(small, do, released):
    before = small.untouched()
    seen, done = do(small.toolbox(), "git.merge", merge_arguments(small, released))
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    assert small.git("rev-parse", "main^@", cwd=small.origin).split() == [small.released, released]
    assert done.moves == {"ref:refs/heads/main": small.head("main")}
    assert small.untouched() == before


def test_a_main_that_has_moved_on_is_merged_not_refused(small, do, released):
    moved = small.commit("feat: meanwhile", {"app/meanwhile.py": "1\n"})
    small.push("main")
    _, done = do(small.toolbox(), "git.merge", merge_arguments(small, released))
    assert small.git("rev-parse", f"{done.facts['sha']}^@", cwd=small.origin).split() == [moved, released]


def test_a_merge_is_found_even_after_others_went_on(small, do, released):
    _, done = do(small.toolbox(), "git.merge", merge_arguments(small, released))
    small.git("pull", "-q", "origin", "main")
    small.commit("feat: later", {"app/later.py": "1\n"})
    small.push("main")
    again = small.toolbox(scratch="elsewhere").probe("git.merge", merge_arguments(small, released), "k-9")
    assert (again.presence, again.facts) == (Presence.APPLIED, done.facts)


def test_a_merge_conflict_is_told_and_nothing_is_pushed(small, allow, released):
    small.commit("chore: bump by hand", {"package.json": '{\n  "name": "acme",\n  "version": "2.0.0"\n}\n'})
    small.push("main")
    head, arguments = small.head("main"), merge_arguments(small, released)
    with pytest.raises(ToolFailed, match=r"package\.json") as refused:
        small.toolbox().apply("git.merge", arguments, allow("git.merge", arguments))
    assert refused.value.reason_code == "merge-conflict"
    assert small.head("main") == head


def test_a_merge_whose_reply_is_lost_is_there_once(small, do, released):
    small.hook("post-receive", LOSES_THE_REPLY)
    box = small.toolbox()
    _, done = do(box, "git.merge", merge_arguments(small, released))
    do(box, "git.merge", merge_arguments(small, released))
    assert small.head("main") == done.facts["sha"]


def test_a_merge_that_is_overtaken_is_made_anew(small, do, released):
    other = small.commit("feat: overtakes", {"app/other.py": "1\n"})
    small.push("main", "parked")
    # The first push of main is overtaken: somebody's commit gets there a moment before.
    small.hook("pre-receive", f"while read old new ref; do [ $ref = refs/heads/main ] && [ ! -e raced ] && touch raced && "
                              f"env -u GIT_QUARANTINE_PATH git update-ref refs/heads/main {other} {small.released}; done; exit 0")  # fmt: skip
    _, done = do(small.toolbox(), "git.merge", merge_arguments(small, released))
    assert (small.origin / "raced").exists()
    assert small.git("rev-parse", f"{done.facts['sha']}^@", cwd=small.origin).split() == [other, released]


# -- the compare-and-swap itself


def test_a_stale_lease_moves_nothing(small):
    repo = small.context().repo
    new = small.commit("feat: next", {"a": "1"})
    stale = small.released
    small.push("main")
    later = repo.commit(repo.tree(new), [stale], "late")
    with pytest.raises(ToolFailed) as refused:
        repo.push("refs/heads/main", later, stale)
    assert refused.value.reason_code == "ref-moved"
    assert small.head("main") == new


def test_a_push_that_is_no_fast_forward_is_refused_before_it_leaves(small):
    repo = small.context().repo
    new = small.commit("feat: next", {"a": "1"})
    small.push("main")
    sideways = repo.commit(repo.tree(small.released), [small.released], "sideways")
    small.hook("pre-receive", "touch asked")
    with pytest.raises(ToolFailed) as refused:
        repo.push("refs/heads/main", sideways, new)
    assert refused.value.reason_code == "not-fast-forward"
    assert not (small.origin / "asked").exists()


@pytest.mark.parametrize("ref", ["refs/heads/-x", "refs/heads/a..b", "--mirror", "refs/notes/x", "refs/heads/", "main"])
def test_nothing_but_a_branch_or_tag_is_ever_pushed(small, ref):
    with pytest.raises(ToolFailed) as refused:
        small.context().repo.push(ref, small.released, "")
    assert refused.value.reason_code == "bad-argument"


# -- tag


def test_a_tag_is_annotated_and_carries_the_whole_message(small, do, released):
    seen, done = do(small.toolbox(), "git.tag", tag_arguments(released))
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    raw = small.git("cat-file", "tag", "v1.4.0", cwd=small.origin)
    assert "tagger Pilothouse <pilothouse@localhost> 1795251600 +0000" in raw
    assert raw.endswith("\n\n### Added\n\n- Saved filters")
    assert small.git("rev-parse", "v1.4.0^{commit}", cwd=small.origin) == released
    assert done.facts == {"tag": "v1.4.0", "object": small.git("rev-parse", "v1.4.0", cwd=small.origin)}


def test_only_that_tag_is_pushed(small, do, released):
    small.git("tag", "-a", "private", "-m", "mine", small.released)
    do(small.toolbox(), "git.tag", tag_arguments(released))
    assert small.git("tag", "-l", cwd=small.origin).split() == ["v1.4.0"]


def test_a_tag_on_the_same_commit_counts_as_applied_even_a_light_one(small, released):
    small.git("update-ref", "refs/tags/v1.4.0", released, cwd=small.origin)
    assert small.toolbox().probe("git.tag", tag_arguments(released), "k-1").presence is Presence.APPLIED


def test_a_tag_on_another_commit_is_a_conflict_and_is_never_moved(small, allow, released):
    small.git("tag", "-a", "v1.4.0", "-m", "other", small.released, cwd=small.origin)
    there, box, arguments = small.git("rev-parse", "v1.4.0", cwd=small.origin), small.toolbox(), tag_arguments(released)
    assert box.probe("git.tag", arguments, "k-1").presence is Presence.CONFLICT
    with pytest.raises(ToolFailed) as refused:
        box.apply("git.tag", arguments, allow("git.tag", arguments))
    assert refused.value.reason_code == "ref-moved"
    assert small.git("rev-parse", "v1.4.0", cwd=small.origin) == there


def test_a_tag_whose_reply_is_lost_is_there(small, do, released):
    small.hook("post-receive", LOSES_THE_REPLY)
    _, done = do(small.toolbox(), "git.tag", tag_arguments(released))
    assert done.presence is Presence.APPLIED


def test_the_pin_of_a_tag_is_what_it_names_now(small, do, released):
    box = small.toolbox()
    assert box.pins("git.tag", {"tag": "v1.4.0"}) == {"ref:refs/tags/v1.4.0": ""}
    _, done = do(box, "git.tag", tag_arguments(released))
    assert box.pins("git.tag", {"tag": "v1.4.0"}) == done.moves == {"ref:refs/tags/v1.4.0": released}
    assert box.pins("git.tag", {}) == {}


# -- delete branch


def test_a_release_branch_is_deleted_once_main_contains_it(small, do, released):
    do(small.toolbox(), "git.merge", merge_arguments(small, released))
    arguments = {"branch": BRANCH, "commit": released, "into": "main"}
    seen, done = do(small.toolbox(), "git.delete_branch", arguments)
    assert (seen.presence, done.presence) == (Presence.ABSENT, Presence.APPLIED)
    assert small.head(BRANCH) == ""


@pytest.mark.parametrize(("branch", "code"), [(BRANCH, "branch-not-merged"), ("main", "branch-not-ours")])
def test_a_branch_that_is_not_merged_or_not_ours_stays(small, allow, released, branch, code):
    commit = released if branch == BRANCH else small.released
    arguments = {"branch": branch, "commit": commit, "into": "main"}
    with pytest.raises(ToolFailed) as refused:
        small.toolbox().apply("git.delete_branch", arguments, allow("git.delete_branch", arguments))
    assert refused.value.reason_code == code
    assert small.head(branch) == commit


def test_a_branch_on_which_somebody_works_on_is_a_conflict_and_stays(small, do, allow, released):
    do(small.toolbox(), "git.merge", merge_arguments(small, released))
    small.git("fetch", "-q", "origin")
    small.git("checkout", "-q", "-b", "theirs", f"origin/{BRANCH}")
    theirs = small.commit("fix: on the branch", {"b": "2"})
    small.push("theirs", BRANCH)
    arguments = {"branch": BRANCH, "commit": released, "into": "main"}
    box = small.toolbox()
    assert box.probe("git.delete_branch", arguments, "k-1").presence is Presence.CONFLICT
    with pytest.raises(ToolFailed) as refused:
        box.apply("git.delete_branch", arguments, allow("git.delete_branch", arguments))
    assert refused.value.reason_code == "ref-moved"
    assert small.head(BRANCH) == theirs
