"""What staging would bring to main, from real git, the real gh and the harbour's forge (AUD-4, AUD-6, I17)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pilothouse.errors import ToolFailed
from pilothouse_tools import envelope, landed
from pilothouse_tools.areas import pattern
from pilothouse_tools.auditbranch import own
from pilothouse_tools.landed import Landing
from pilothouse_tools.observe.contents import TOOLS
from pilothouse_tools.records import release_id
from pilothouse_tools.recordshape import as_bytes
from pilothouse_tools.trail import Entry
from tools.forgeworld import ForgeWorld, review
from tools.test_records import known

CONTENTS = TOOLS[0]
OWN = "chore(release): 1.4.0\n\nPilothouse-Run: {}\n"


def build(world: ForgeWorld) -> None:
    """Staging, from the released commit on: each kind of pull request, and what has none."""
    c = world.commit
    c("live", "chore: start", path="README.md")
    c("h11", "feat: part one", "live", path="app/one.py")
    c("s11", "feat: filters (#11)\n\nACME-11 and UTF-8", "live", path="app/one.py")
    c("h12a", "feat: begin", "live", path="app/two.py")
    c("h12b", "feat: go on", "h12a", path="app/three.py")
    c("m12", "Merge pull request #12 from harbour/feature/acme-12-x\n\nfeat: two", "s11", "h12b")
    c("h13a", "fix: a", "live", path="docs/a.md")
    c("h13b", "fix: b", "h13a", path="docs/b.md")
    c("r13a", "fix: a", "m12", path="docs/a.md")
    c("r13b", "fix: b", "r13a", path="docs/b.md")
    c("h14a", "perf: quick", "live", path="app/fast.py", text="quick")
    c("h14", "perf: fast", "h14a", path="app/fast.py")
    c("s14", "perf: faster, retitled", "r13b", path="app/fast.py")
    c("bare", "fix: typo", "s14", path="typo.txt")
    c("issue", "fix: as told (#16)", "bare", path="told.txt")
    c("there", "fix: elsewhere (#17)", "live", path="x.txt")
    c("cherry", "fix: elsewhere (#17)", "issue", path="x.txt")
    c("borrowed", "chore: tidy up (#12)", "cherry", path="tidy.txt")
    c("h18old", "feat: reviewed", "live", path="app/later.py", text="early\n")
    c("h18", "feat: and this was not", "h18old", path="app/later.py")
    c("s18", "feat: late (#18)", "borrowed", path="app/later.py")
    for number, before in ((19, "s18"), (20, "s19"), (21, "s20")):
        c(f"h{number}", f"feat: {number}", "live", path=f"app/{number}.py")
        c(f"s{number}", f"feat: {number} (#{number})", before, path=f"app/{number}.py")
    c("stack", "feat: many in one", "s21", path="app/stack.py")
    c("own", OWN.format("r-2026-11-20-01"), "stack", path="package.json")
    c("forged", OWN.format("r-2026-11-20-02"), "own", path="package.json", text="y\n")
    c("loose", "feat: straight merge", "live", path="app/loose.py")
    c("straight", "Merge branch 'loose' into staging", "forged", "loose")
    c("h22", "feat: reviewed", "live", path="app/22.py")
    c("stowaway", "feat: nobody saw it", "h22", path="app/stowaway.py")
    c("m22", "Merge pull request #22 from harbour/change-22", "straight", "stowaway")
    c("h23", "Merge branch 'staging' into change-23", "bare", path="app/23.py")
    c("m23", "Merge pull request #23 from harbour/change-23", "m22", "h23")
    at = world.at
    world.pull(11, head_sha=at["h11"], merge_sha=at["s11"])
    world.pull(12, head_sha=at["h12b"], merge_sha=at["m12"], head="feature/acme-12-x")
    world.pull(13, head_sha=at["h13b"], merge_sha=at["r13b"], landed=[at["r13a"], at["r13b"]], body="See ACME-13.")
    world.pull(14, head_sha=at["h14"], merge_sha=at["s14"], title="perf: faster [ACME-14]")
    world.store.put("threads", number=16, kind="issue", title="An issue", body="", author="lin", state="OPEN",
                    created="2026-11-20T10:00:00Z", updated="2026-11-20T10:00:00Z")  # fmt: skip
    world.pull(17, head_sha=at["there"], merge_sha=at["there"], base="other")
    world.pull(18, head_sha=at["h18"], merge_sha=at["s18"], reviews=[review("ada", at["h18old"])])
    world.pull(19, head_sha=at["h19"], merge_sha=at["s19"], author="ada")
    withdrawn = [review("ada", at["h20"]), review("ada", at["h20"], "CHANGES_REQUESTED")]
    world.pull(20, head_sha=at["h20"], merge_sha=at["s20"], reviews=withdrawn)
    many = [review("lin", at["live"]) for _ in range(130)]
    world.pull(21, head_sha=at["h21"], merge_sha=at["s21"], reviews=[*many, review("ada", at["h21"])])
    world.pull(22, head_sha=at["h22"], merge_sha=at["m22"])
    world.pull(23, head_sha=at["h23"], merge_sha=at["m23"], base_sha=at["bare"])
    for number in range(40, 52):
        world.pull(number, head_sha=at["stack"], merge_sha=at["stack"], base_sha=at["s21"])
    world.pull(60, state="OPEN", head="staging", base="main", head_sha=at["m23"], merge_sha="", merged=None)
    record(world)
    world.publish(main="live", staging="m23", other="there", compliance_archives="a5")


def record(world: ForgeWorld) -> None:
    """The audit branch: archives of 11, 12 and 13, and the record of one run."""
    folder = "releases/2026/11/acme-2026-11-20-0{}"
    world.commit("a1", "docs: archive", path="archives/pr-11.md")
    world.commit("a2", "docs: archive", "a1", path="archives/pr-12.md")
    world.commit("a3", "docs: archive", "a2", path="archives/pr-13.md", text="thirteen\n")
    record = recorded("r-2026-11-20-01", world.at["own"]).decode()
    world.commit("a4", "record", "a3", path=f"{folder.format(1)}/outcome.json", text=record)
    nobodys = recorded("r-2026-11-20-02", world.at["own"], own_commits=[], kind="intent", outcome=None).decode()
    world.commit("a5", "record", "a4", path=f"{folder.format(2)}/intent.json", text=nobodys)


def recorded(run: str, sha: str, **changes: object) -> bytes:
    """The whole outcome record of a run that merged something by this commit, or of one that did otherwise."""
    act = {"step": "merge", "tool": "git.merge", "state": "done", "found": False, "reason_code": "", "started_at": "",
           "summary": f"main contains {'b' * 12} since {sha[:12]}", "ended_at": ""}  # fmt: skip
    record = {**known(run, own_commits=[sha], acts=[act]), "schema": "pilothouse.record/1", "kind": "outcome"}
    return as_bytes({**record, "release": release_id("acme", run), **changes})


@pytest.fixture(scope="module")
def world(still, tmp_path_factory):
    made = ForgeWorld(tmp_path_factory.mktemp("promotion"), still.product)
    build(made)
    yield made
    made.close()


def look(world, older="live", newer="m23", product=None):
    from pilothouse_tools.door import Arguments

    arguments = Arguments({"from": world.at[older], "to": world.at[newer]})
    return CONTENTS.look(world.context(product=product), arguments).facts


@pytest.fixture(scope="module")
def facts(world):
    return look(world)


@pytest.fixture(scope="module")
def pulls(facts):
    return {pull["number"]: pull for pull in facts["pulls"]}


def commit(world, facts, name):
    return next(item for item in facts["commits"] if item["sha"] == world.at[name])


def test_pull_requests_are_found_by_relation_subject_and_merge_and_say_how_they_came(world, facts, pulls):
    assert sorted(pulls) == [11, 12, 13, 14, 18, 19, 20, 21, 22, 23, *range(40, 52)]
    assert {number: pulls[number]["how"] for number in (11, 12, 13, 14, 40)} == {
        11: "squash", 12: "merge", 13: "rebase", 14: "squash", 40: "rebase"
    }  # fmt: skip
    assert (pulls[12]["merge_commit"], pulls[12]["head_sha"]) == (world.at["m12"], world.at["h12b"])
    assert (pulls[11]["merged_by"], pulls[11]["merged_at"], pulls[11]["base"]) == (
        "ada", "2026-11-20T10:00:00Z", "staging"
    )  # fmt: skip
    for name, numbers in (("s11", [11]), ("h12a", [12]), ("h12b", [12]), ("m12", [12]), ("r13a", [13]), ("s14", [14])):
        assert commit(world, facts, name)["pulls"] == numbers, name
    assert commit(world, facts, "stack")["pulls"] == list(range(40, 52))  # more than a nested page holds


def test_commits_come_oldest_first_with_who_and_when(world, facts):
    shas = [item["sha"] for item in facts["commits"]]
    assert (shas[-1], facts["counts"]["commits"]) == (world.at["m23"], len(shas))
    assert all(shas.index(parent) < place for place, item in enumerate(facts["commits"]) for parent in item["parents"]
               if parent in shas)  # fmt: skip
    first = commit(world, facts, "s11")
    assert (first["author"], first["email"], first["subject"]) == ("Noor", "noor@acme.test", "feat: filters (#11)")
    assert first["at"].endswith("Z")


def test_what_has_no_pull_request_is_listed_whatever_its_subject_says(world, facts):
    unlinked = {item["sha"]: item["subject"] for item in facts["unlinked"]}
    names = ("bare", "issue", "cherry", "borrowed", "forged", "loose", "straight", "stowaway")
    assert unlinked.keys() == {world.at[name] for name in names}


def test_a_merge_speaks_only_for_what_it_brought_and_was_reviewed(world, facts):
    assert commit(world, facts, "stowaway")["pulls"] == []  # put on top of the head that was approved
    assert commit(world, facts, "bare")["pulls"] == []  # came back by a branch that had taken staging in
    assert commit(world, facts, "h23")["pulls"] == [23]


def test_a_runs_own_commit_counts_only_where_its_record_lists_it(world, facts):
    assert commit(world, facts, "own")["own"] == "r-2026-11-20-01"
    assert commit(world, facts, "forged")["own"] == ""
    assert facts["own"] == [{"sha": world.at["own"], "subject": "chore(release): 1.4.0", "run": "r-2026-11-20-01"}]


def test_reviewed_is_an_approval_by_somebody_else_of_exactly_what_was_merged(world, facts, pulls):
    assert facts["unreviewed"] == [18, 19, 20, 22]
    assert {number: pull["doubt"] for number, pull in pulls.items() if pull["doubt"]} == {22: "tree-differs"}
    assert (pulls[11]["reviewed"], pulls[11]["reviewers"]) == (True, ["ada"])
    assert pulls[11]["reviewed_sha"] == world.at["h11"]
    assert (pulls[18]["reviewed_sha"], pulls[18]["reviewers"]) == (world.at["h18old"], ["ada"])
    assert (pulls[19]["reviewed_sha"], pulls[19]["reviewers"]) == ("", [])  # one's own
    assert (pulls[20]["reviewed_sha"], pulls[20]["reviewers"]) == ("", [])  # withdrawn
    assert pulls[21]["reviewed"] is True  # told on the third page of its reviews
    assert pulls[21]["reviewers"] == ["lin", "ada"]


def test_tickets_come_from_messages_texts_and_branches(world, facts, pulls):
    assert facts["tickets"] == ["ACME-11", "ACME-12", "ACME-13", "ACME-14"]  # neither UTF-8 nor CHANGE-14
    assert {number: pulls[number]["tickets"] for number in (11, 12, 13, 14, 18)} == {
        11: ["ACME-11"], 12: ["ACME-12"], 13: ["ACME-13"], 14: ["ACME-14"], 18: []
    }  # fmt: skip
    assert commit(world, facts, "s11")["tickets"] == ["ACME-11"]


def test_archives_are_looked_up_on_the_audit_branch(world, facts, pulls):
    assert facts["missing_archives"] == [number for number in sorted(pulls) if number not in {11, 12, 13}]
    assert (pulls[13]["archive"], pulls[14]["archive"], pulls[14]["archive_sha"]) == ("archives/pr-13.md", "", "")
    assert pulls[13]["archive_sha"] == world.git("rev-parse", f"{world.at['a5']}:archives/pr-13.md")


def test_without_an_audit_branch_every_archive_is_missing_and_no_commit_is_a_runs_own(world):
    product = replace(world.product, audit=replace(world.product.audit, branch="nowhere"))
    facts = look(world, product=product)
    assert facts["missing_archives"] == [pull["number"] for pull in facts["pulls"]]
    assert world.at["own"] in {item["sha"] for item in facts["unlinked"]}


def test_areas_are_counted_by_globs_and_the_rest_is_other(facts):
    areas = {item["area"]: item["files"] for item in facts["areas"]}
    assert areas == {"app": 13, "docs": 2, "other": 5}
    assert facts["counts"]["files"] == 20
    assert sum(item["insertions"] for item in facts["areas"]) == facts["counts"]["insertions"]


def test_areas_of_a_product_in_a_folder_count_from_there_and_all_commits_move_main(world):
    audit = replace(world.product.audit, areas={"code": ("*.py",)})
    facts = look(world, product=replace(world.product, path="app", audit=audit))
    assert {item["area"]: item["files"] for item in facts["areas"]} == {"code": 13, "other": 7}
    assert len(facts["commits"]) == facts["counts"]["commits"] == 25


def test_subjects_help_where_the_forge_has_not_indexed_a_commit_yet(world):
    world.trouble({"kind": "behind"})
    facts = look(world)
    # A subject counts where the pull request's own merge commit is that commit; nothing says so of 13 and 14.
    assert [pull["number"] for pull in facts["pulls"]] == [11, 12, 18, 19, 20, 21, 22, 23]
    assert commit(world, facts, "h12a")["pulls"] == [12]  # behind the merge of what was reviewed
    assert world.at["r13b"] in {item["sha"] for item in facts["unlinked"]}


def test_a_range_without_commits_asks_the_forge_nothing(world):
    before = len(world.asked())
    facts = look(world, "live", "live")
    assert (facts["commits"], facts["pulls"], facts["unlinked"], len(world.asked())) == ([], [], [], before)


def test_what_does_not_contain_the_released_commit_is_refused(world):
    with pytest.raises(ToolFailed) as refused:
        look(world, "m23", "live")
    assert refused.value.reason_code == "not-an-ancestor"


def test_one_log_and_one_listing_of_archives_are_read(world, monkeypatch, tmp_path):
    git = tmp_path / "git"
    git.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\nexec {_real("git", world)} "$@"\n')
    git.chmod(0o755)
    monkeypatch.setitem(world.environ, "PATH", f"{tmp_path}:{world.environ['PATH']}")
    look(world)
    words = [line.split() for line in (tmp_path / "asked").read_text().splitlines()]
    for command in ("log", "ls-tree", "merge-tree"):
        assert sum(command in line for line in words) == 1, command


# -- who would bring something along unseen ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(still, tmp_path_factory):
    """A staging with what somebody who can push to it would try; its facts."""
    made = ForgeWorld(tmp_path_factory.mktemp("hostile"), still.product)
    c, at = made.commit, made.at
    c("live", "chore: start", path="README.md", text="one\n")
    for number in (31, 32, 33, 34, 35, 36, 38):
        c(f"h{number}", f"feat: {number}", "live", path=f"app/{number}.py")
    c("h39", "docs: ours", "live", path="README.md", text="ours\n")
    c("m31", "Merge pull request #31 from harbour/change-31", "live", "h31", path="app/evil.py")
    c("s32", "feat: 32 (#32)", "m31", path="app/32.py", text="x\nevil\n")
    c("m33", "Merge pull request #33 from harbour/change-33", "s32", "h33")
    c("s34", "feat: 34 (#34)", "m33", path="app/34.py")
    c("s35", "feat: 35 (#35)", "s34", path="app/35.py")  # merged to another branch, and pushed straight to staging
    c("s36", "feat: 36 (#36)", "live", path="app/36.py")
    c("m37", "Merge pull request #37 from harbour/feature", "s35", "s36")
    c("s38", "feat: 38 (#38)", "m37", path="app/38.py")
    c("r39", "docs: resolved by hand (#39)", c("theirs", "docs: theirs (#40)", "s38", path="README.md", text="theirs\n"),
      path="README.md", text="both\n")  # fmt: skip
    for number, merge, base in (
        (31, "m31", "staging"), (32, "s32", "staging"), (33, "m33", "main"), (35, "s35", "other"), (36, "s36", "feature"),
        (39, "r39", "staging"),
    ):  # fmt: skip
        made.pull(number, head_sha=at[f"h{number}"], merge_sha=at[merge], base=base)
    made.pull(37, head_sha=at["s36"], merge_sha=at["m37"], head="feature")
    made.pull(40, head_sha=at["theirs"], merge_sha=at["theirs"], base_sha=at["s38"])
    stranger = [{**review("ada", at["h38"]), "can_push": False}, review("lin", at["live"])]
    made.pull(38, head_sha=at["h38"], merge_sha=at["s38"], reviews=stranger)
    made.publish(main="live", staging="r39", other="h34")
    # A head that only the forge has, as after a squash.
    at["h34"] = made.git("commit-tree", f"{at['h34']}^{{tree}}", "-p", at["live"], "-m", "there", cwd=made.origin)
    made.git("update-ref", "refs/pull/34/head", at["h34"], cwd=made.origin)
    made.pull(34, head_sha=at["h34"], merge_sha=at["s34"])
    yield made, look(made, newer="r39")
    made.close()


def test_a_landing_that_is_not_what_merging_the_approved_head_gives_is_not_reviewed(hostile):
    _, facts = hostile
    assert {pull["number"]: pull["doubt"] for pull in facts["pulls"]} == {
        31: "tree-differs", 32: "tree-differs", 33: "", 34: "", 36: "", 37: "", 38: "", 39: "conflict", 40: "",
    }  # fmt: skip
    assert facts["unreviewed"] == [31, 32, 38, 39]
    assert [pull["reviewed"] for pull in facts["pulls"]].count(False) == 4


def test_a_pull_request_into_another_branch_counts_only_where_one_that_counts_brought_it_along(hostile):
    world, facts = hostile
    assert {item["sha"] for item in facts["unlinked"]} == {world.at["s35"]}
    assert commit(world, facts, "s36")["pulls"] == [36, 37]


def test_an_approval_of_somebody_who_cannot_push_is_none(hostile):
    _, facts = hostile
    (pull,) = [pull for pull in facts["pulls"] if pull["number"] == 38]
    assert (pull["reviewers"], pull["reviewed_sha"]) == (["lin"], hostile[0].at["live"])


def test_a_head_that_cannot_be_had_is_a_doubt_and_spoils_no_other(hostile):
    world, _ = hostile
    tree = f"{world.at['h36']}^{{tree}}"
    for number in (71, 72):
        sha = world.git("commit-tree", tree, "-p", world.at["live"], "-m", str(number), cwd=world.origin)
        world.at[f"h{number}"] = sha
    world.git("update-ref", "refs/pull/71/head", world.at["h71"], cwd=world.origin)
    live, after = world.at["live"], world.at["s36"]
    gone = Landing(70, live, "f" * 40, after)
    landings = [Landing(71, live, world.at["h71"], after), gone, Landing(73, "", world.at["h36"], after)]
    found = landed.doubts(world.context(), landings)
    assert found == {70: "head-unknown", 71: "", 73: "tree-differs"}


def test_an_older_git_merges_one_by_one(hostile, monkeypatch):
    world, _ = hostile
    context, at = world.context(), world.at
    run = context.repo.run
    refused = replace(run("version"), code=129)
    monkeypatch.setattr(
        context.repo, "run", lambda *words, **more: refused if words[-1] == "--stdin" else run(*words, **more)
    )
    landings = [Landing(1, at["live"], at["h36"], at["s36"]), Landing(2, at["theirs"], at["h39"], at["r39"])]
    assert landed.doubts(context, landings) == {1: "", 2: "conflict"}


RUN, PLACE = "r-2026-10-01-77", "releases/2026/10/acme-2026-10-01-77"
OWNED = "e" * 40
FOUND = {"step": "merge", "tool": "git.promote", "state": "done", "found": False, "reason_code": "", "started_at": "",
         "summary": f"main is at {OWNED[:12]}", "ended_at": ""}  # fmt: skip


def claimed(world, files, public="", entry=None):
    """The runs by commit where the audit branch has these files of the run's."""
    world.at.pop("r", None)
    for name, data in files.items():
        parents = ["r"] if "r" in world.at else []
        world.commit("r", "record", *parents, path=f"{PLACE}/{name}", text=data.decode())
    product = replace(world.product, audit=replace(world.product.audit, public_key=public))
    one = Entry(OWNED, ("a" * 40,), "Mal", "mal@acme.test", "", "feat: x", f"Pilothouse-Run: {RUN}\n")
    return own(world.context(product=product), [one, *(entry or ())], world.at["r"])


@pytest.mark.parametrize(("files", "counts"), [
    ({"outcome.json": recorded(RUN, OWNED)}, True),
    ({"outcome.json": json.dumps({"own_commits": [OWNED]}).encode()}, False),
    ({"outcome.json": recorded(RUN, OWNED, own_commits=["f" * 40])}, False),
    ({"outcome.json": recorded(RUN, OWNED, acts=[])}, False),
    ({"outcome.json": recorded(RUN, OWNED, acts=[FOUND])}, False),  # that act makes no commit
    ({"outcome.json": recorded(RUN, "f" * 40, own_commits=["f" * 40, OWNED])}, False),  # its acts made another one
    ({"outcome.json": recorded("r-2026-10-01-78", OWNED)}, False),
    ({"outcome.json": recorded(RUN, OWNED, kind="intent", outcome=None)}, False),
    ({"intent.json": recorded(RUN, OWNED, kind="intent", outcome=None)}, True),
], ids=["whole", "bare", "unlisted", "no act", "other act", "other commit", "other run", "other kind", "intent"])  # fmt: skip
def test_a_commit_is_a_runs_own_by_the_whole_record_of_exactly_that_run(world, files, counts):
    assert claimed(world, files) == ({OWNED: RUN} if counts else {})


def test_a_record_counts_by_its_signature_where_a_key_is_configured(world):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    record = recorded(RUN, OWNED)
    signed = envelope.sign(record, envelope.Key(world.folder, pem, {}))
    other = envelope.sign(recorded(RUN, "f" * 40), envelope.Key(world.folder, pem, {}))
    assert claimed(world, {"outcome.json": record}, public) == {}
    for name, data in (("outcome.dsse.json", b"{}"), ("outcome.dsse.json", other), ("intent.dsse.json", signed)):
        assert claimed(world, {"outcome.json": record, name: data}, public) == {}
    assert claimed(world, {"outcome.json": record, "outcome.dsse.json": signed}, public) == {OWNED: RUN}


def test_the_merge_of_a_revert_counts_with_the_revert_that_it_brought(world):
    act = {**FOUND, "tool": "git.revert", "summary": f"main holds the revert {OWNED[:12]}"}
    record = recorded(RUN, OWNED, own_commits=[OWNED, "f" * 40, "d" * 40], acts=[act])
    merge = Entry("f" * 40, ("a" * 40, OWNED), "Kim", "kim@acme.test", "", "merge", f"Pilothouse-Run: {RUN}\n")
    plain = replace(merge, sha="d" * 40, parents=("a" * 40,))
    assert claimed(world, {"outcome.json": record}, entry=[merge, plain]) == {OWNED: RUN, "f" * 40: RUN}


def _real(name, world):
    import shutil

    return shutil.which(name, path=world.env["PATH"])


@pytest.mark.parametrize(
    ("glob", "paths", "others"),
    [
        ("app/**", ["app/a.py", "app/b/c.py"], ["app", "xapp/a.py", "b/app/a.py"]),
        ("**/test_*.py", ["test_a.py", "a/b/test_c.py"], ["a/test_b.txt"]),
        ("*.md", ["README.md"], ["docs/a.md"]),
        ("docs", ["docs/a.md", "docs/b/c.md"], ["docsx/a", "a/docs/b"]),
        ("src/*/api.py", ["src/x/api.py"], ["src/api.py", "src/x/y/api.py"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_globs_cross_folders_only_by_two_stars(glob, paths, others):
    found = pattern(glob)
    assert all(found.fullmatch(path) for path in paths)
    assert not any(found.fullmatch(path) for path in others if path != "app")
