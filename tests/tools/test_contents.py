"""What a range of commits means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pilothouse.errors import ToolFailed


def contents(small, older, newer, product=None, **changes):
    return small.toolbox(product, **changes).observe("git.contents", {"from": older, "to": newer}).facts


def summaries(entries):
    return [(entry["summary"], entry["number"]) for entry in entries]


def test_entries_follow_conventional_commits_with_their_pull_requests(small):
    for message in (
        "feat(search): faster (#231)", "fix: crash\n\nFixes ACME-12, not UTF-8 or SHA-256", "perf: index", "refactor: tidy (#7)", "docs: words",
        "build(deps): bump left-pad from 1.0.0 to v1.1.0 (#9)", "Bump acme-icons from 1.2 to 1.3 (#10)",
        "feat!: no more XML (#11)\n\nBREAKING CHANGE: send JSON\ninstead of XML\n\nReviewed-by: Ada",
    ):  # fmt: skip
        newer = small.commit(message, {"file.txt": message})
    facts = contents(small, small.released, newer)
    assert facts["commits"] == 8
    assert facts["features"] == [
        {"sha": newer, "summary": "no more XML", "scope": "", "number": 11, "author": "Ada"},
        {**facts["features"][1], "summary": "faster", "scope": "search", "number": 231},
    ]
    assert summaries(facts["fixes"]) == [("crash", 0)]
    assert summaries(facts["improvements"]) == [("tidy", 7), ("index", 0)]
    assert facts["dependencies"] == [{"name": "acme-icons", "old": "1.2", "new": "1.3", "number": 10},
                                     {"name": "left-pad", "old": "1.0.0", "new": "1.1.0", "number": 9}]  # fmt: skip
    told = {"summary": "no more XML", "migration": "send JSON instead of XML", "number": 11, "sha": newer}
    assert facts["breaking"] == [told]
    assert (facts["other"], facts["pulls"], facts["tickets"]) == (1, [7, 9, 10, 11, 231], ["ACME-12"])
    assert (facts["files"], facts["authors"], facts["omitted"]) == (1, ["Ada"], 0)


def merged(small, title, *messages):
    """A pull request as the forge merges it."""
    small.git("checkout", "-q", "-b", "topic")
    for number, message in enumerate(messages):
        small.commit(message, {f"topic{number}.txt": message})
    small.git("checkout", "-q", "main")
    small.git("merge", "-q", "--no-ff", "-m", f"Merge pull request #42 from ada/topic\n\n{title}", "topic")
    small.git("branch", "-q", "-D", "topic")
    return small.git("rev-parse", "HEAD")


def test_commits_within_a_merge_bear_the_number_of_their_pull_request(small):
    newer = merged(small, "Some title", "feat: one", "fix: two (#41)", "wip")
    facts = contents(small, small.released, newer)
    assert summaries(facts["features"]) == [("one", 42)]
    assert summaries(facts["fixes"]) == [("two", 41)]
    assert (facts["commits"], facts["other"], facts["pulls"]) == (4, 1, [41, 42])


def test_a_merge_whose_commits_say_nothing_counts_by_its_title(small):
    facts = contents(small, small.released, merged(small, "feat: a whole thing", "wip", "more"))
    assert summaries(facts["features"]) == [("a whole thing", 42)]
    assert facts["other"] == 0


def test_a_merge_that_says_nothing_at_all_is_counted_as_other(small):
    facts = contents(small, small.released, merged(small, "stuff", "wip", "more"))
    assert (facts["features"], facts["other"]) == ([], 2)


def test_a_change_that_was_taken_back_within_the_range_is_no_entry(small):
    feature = small.commit("feat: gone again", {"x": "1"})
    newer = small.commit(f'Revert "feat: gone again"\n\nThis reverts commit {feature}.', {"x": "0"})
    facts = contents(small, small.released, newer)
    assert (facts["features"], facts["fixes"], facts["other"]) == ([], [], 2)
    again = small.commit(f'Revert "Revert"\n\nThis reverts commit {newer}.', {"x": "1"})
    assert summaries(contents(small, small.released, again)["features"]) == [("gone again", 0)]


def test_a_change_of_an_older_release_that_is_taken_back_is_a_fix(small):
    newer = small.commit(f'Revert "chore: start"\n\nThis reverts commit {small.released}.', {"x": "0"})
    assert summaries(contents(small, small.released, newer)["fixes"]) == [('Revert "chore: start"', 0)]


@pytest.mark.parametrize(
    "evil", ["@" + "a" * 40, "\x01", "1\t2\tx", "feat: \x1b[2J", "a\n\n@" + "b" * 40 + "\n1\t1\tz"]
)
def test_no_message_can_forge_another_commits_fields(small, evil):
    newer = small.commit(f"feat: {evil}\n\n{evil}\nBREAKING CHANGE {evil}", {"odd\tname": evil, "@name": "x"})
    facts = contents(small, small.released, newer)
    assert (facts["commits"], facts["files"], len(facts["features"])) == (1, 2, 1)


def test_an_empty_range_holds_nothing(small):
    facts = contents(small, small.released, small.released)
    assert (facts["commits"], facts["features"]) == (0, [])


def test_a_range_that_does_not_descend_is_refused(small):
    newer = small.commit("feat: x", {"x": "1"})
    for older, upper in (
        (newer, small.released),
        (small.context().repo.commit(small.context().repo.tree(newer), [], "alone"), newer),
    ):
        with pytest.raises(ToolFailed) as refused:
            contents(small, older, upper)
        assert refused.value.reason_code == "not-an-ancestor"


def test_in_a_monorepo_only_the_products_folder_counts(small):
    small.commit("feat: other product (#1)", {"other/x": "1"})
    small.commit("feat: this product (#2)", {"shop/x": "1\n2\n", "other/y": "1"})
    newer = merged(small, "t", "fix: elsewhere")
    facts = contents(small, small.released, newer, replace(small.product, path="shop"))
    assert summaries(facts["features"]) == [("this product", 2)]
    assert (facts["commits"], facts["fixes"], facts["files"], facts["pulls"]) == (1, [], 1, [2])


def test_long_lists_are_cut_and_counted(small):
    stream = [
        b"commit refs/heads/many\ncommitter Ada <a@b> 1700000000 +0000\ndata 5\nstart\nfrom "
        + small.released.encode()
        + b"\n\n"
    ]
    for n in range(1, 620):
        message = f"feat: number {n} (#{n})".encode()
        stream.append(
            b"commit refs/heads/many\ncommitter Ada <a@b> %d +0000\ndata %d\n%s\n"
            % (1700000000 + n, len(message), message)
        )
    import subprocess

    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=small.clone, env=small.git_env, input=b"".join(stream), check=True
    )
    facts = contents(small, small.released, small.git("rev-parse", "many"))
    assert (len(facts["features"]), len(facts["pulls"]), facts["commits"]) == (500, 500, 620)
    assert facts["omitted"] == 119 + 119
    assert facts["features"][0]["number"] == 619  # the newest are kept


def test_the_version_follows_from_contents_and_changelog_at_the_commit(small):
    newer = small.commit("fix: one (#13)", {"x": "1"})
    box = small.toolbox()
    decided = box.observe(
        "version.decide",
        {"sha": newer, "current": "1.3.0", "requested": "", "contents": contents(small, small.released, newer)},
    )
    # The changelog's Added asks for more than the commits do.
    assert decided.facts["version"] == "1.4.0"
    assert (decided.facts["tag"], decided.facts["branch"]) == ("v1.4.0", "release/acme/v1.4.0")
    assert decided.sha == newer


def test_calver_is_not_supported_yet(small):
    product = replace(small.product, versioning=replace(small.product.versioning, scheme="calver"))
    with pytest.raises(ToolFailed) as refused:
        small.toolbox(product).observe("version.decide", {"sha": small.released, "current": "1.3.0", "contents": {}})
    assert refused.value.reason_code == "not-supported"


def test_the_changelog_is_read_at_the_commit_not_from_the_working_tree(small):
    (small.clone / "CHANGELOG.md").write_text("nothing")
    box = small.toolbox()
    assert box.observe("changelog.unreleased", {"sha": small.released}).facts["entries"] == 2
    final = box.observe(
        "changelog.finalise", {"sha": small.released, "version": "1.4.0", "previous": "1.3.0", "date": "2026-11-21"}
    ).facts
    assert "## [1.4.0] - 2026-11-21" in final["text"]
    assert final["section"].startswith("### Added")


def test_a_changelog_that_is_not_there_has_no_entries(small):
    (small.clone / "CHANGELOG.md").unlink()
    sha = small.commit("chore: no changelog")
    facts = small.toolbox().observe("changelog.unreleased", {"sha": sha}).facts
    assert facts == {"entries": 0, "sections": {}, "found": False}
