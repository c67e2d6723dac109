"""Laws about what is released: its history, refs, versions, data, the watch and the way back."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guard_samples import product
from laws.worlds import FEW, LAW, Clock, approve, production, world_of
from pilothouse import events as e
from pilothouse.covering import Release, gaps
from pilothouse.engine.advance import advance
from pilothouse.errors import ImpossibleHistory, ToolFailed
from pilothouse.guard.bound import Bound
from pilothouse.guard.fold import fold
from pilothouse.guard.gates import RULES, judge
from pilothouse.guard.policy import constraints, stamp
from pilothouse.guard.product import Lock, ProductState
from pilothouse.model import Gate, Presence
from pilothouse.settings import Audit, Freeze, Needed, Policy
from pilothouse_tools import health
from pilothouse_tools.observe.touched import destructive
from story import SHA, START, act, approved, chained, done, failed, intended, opened, planned, started
from toyworld import ToyTools


def test_i17_what_does_not_descend_or_nobody_vouched_for_is_not_released(small):
    line = [small.released, small.commit("feat: one"), small.commit("feat: two")]
    small.git("checkout", "-q", "-b", "side", line[1])
    line.append(small.commit("feat: aside", {"aside": "x"}))
    small.git("checkout", "-q", "main")
    small.git("merge", "-q", "--no-ff", "-m", "Merge pull request #7 from side", "side")
    line.append(small.git("rev-parse", "HEAD"))
    older = {0: set(), 1: {0}, 2: {0, 1}, 3: {0, 1}, 4: {0, 1, 2, 3}}
    box = small.toolbox()
    for to, ancestors in older.items():
        for since in range(5):
            call = {"from": line[since], "to": line[to]}
            if since in ancestors or since == to:
                assert box.observe("git.contents", call).sha == line[to]
            else:
                with pytest.raises(ToolFailed) as refused:
                    box.observe("git.contents", call)
                assert refused.value.reason_code == "not-an-ancestor"
    # Of an audited promotion: no commit without a pull request, no pull request that nobody approved as it was merged.
    whole = {"commits": [{"sha": line[1]}], "pulls": [{"number": 1}], "unlinked": [], "unreviewed": [], "unread": []}
    audited = Bound(dataclasses.replace(product(), audit=Audit()), Policy(), line[1], frozenset())
    for lack in ({}, {"unlinked": [{"sha": line[1], "subject": "x"}]}, {"unreviewed": [1]}, {"unread": ["#1"]}):
        assert RULES["contents-linked"]({**whole, **lack}, audited)[0] == (lack == {})


def test_i18_no_ref_moves_but_forward_and_no_tag_moves_at_all(small, do):
    box, repo = small.toolbox(), small.context().repo
    first = small.released
    second = small.commit("feat: more")
    small.push("main")
    small.git("checkout", "-q", "-b", "side", first)
    aside = small.commit("feat: aside", {"aside": "x"})
    small.push("side")
    for new, expected in ((first, second), (aside, second), (second, aside), (first, aside)):
        with pytest.raises(ToolFailed) as refused:
            repo.push("refs/heads/main", new, expected)
        assert refused.value.reason_code in {"not-fast-forward", "ref-moved"}
        assert small.head("main") == second
    tag = {"tag": "v1.4.0", "commit": first, "message": "one"}
    do(box, "git.tag", tag)
    stands = small.git("rev-parse", "v1.4.0", cwd=small.origin)
    moved = {**tag, "commit": second}
    assert box.probe("git.tag", moved, "k-1").presence is Presence.CONFLICT
    for how in (lambda: do(box, "git.tag", moved), lambda: repo.push("refs/tags/v1.4.0", second, "")):
        with pytest.raises(ToolFailed):
            how()
    assert small.git("rev-parse", "v1.4.0", cwd=small.origin) == stands
    for branch in ("main", "side"):  # neither is the run's own release branch
        with pytest.raises(ToolFailed):
            do(box, "git.delete_branch", {"branch": branch, "commit": small.head(branch), "into": "main"})
        assert small.head(branch)


VERSIONS = st.sampled_from(["1.3.0", "1.4.0", "1.4.0-rc.1", "2.0.0"])
SHAS = st.sampled_from(["", "1" * 40, "2" * 40])


def test_i19_what_answers_another_version_or_commit_is_not_what_was_released(still):
    served, environment = still.served, still.environment("production")

    @LAW
    @given(VERSIONS, SHAS, VERSIONS, SHAS)
    def holds(version, sha, wanted, commit):
        served.version, served.sha = version, sha
        agrees = version == wanted and (not sha or not commit or sha == commit)
        assert (health.look(environment, wanted, commit).problem == "") == agrees

    try:
        holds()
    finally:
        served.version, served.sha = "1.3.0", ""


BACKUP = planned(act("backup", "backup.create"), act("migrate", "migrate.apply"))
CARD = opened(plan=BACKUP)
BOUND = Bound(product(), Policy(), SHA, frozenset({"2" * 40}), {"sha": "1" * 40, "version": "1.3.0"})
FRESH = Gate("backup-fresh", "backed-up", on="backup", max_age=3600)
NAMES = st.lists(st.sampled_from(["0005_a", "0006_b"]), unique=True)


@LAW
@given(st.integers(0, 7200), st.booleans(), st.sampled_from(["b-1", "", None]), NAMES, st.one_of(st.none(), NAMES))
def test_i20_only_the_expected_migrations_and_only_after_a_fresh_backup(age, touched, key, pending, unexpected):
    facts = [
        started(), BACKUP, CARD, approved(CARD),
        intended(BACKUP, "backup", approval=CARD.approval_digest, tool="backup.create"), done("backup", facts={"key": key}),
    ]  # fmt: skip
    if touched:
        facts += [
            intended(BACKUP, "migrate", approval=CARD.approval_digest, tool="migrate.apply"), failed("migrate"),
        ]  # fmt: skip
    state = fold(chained(*facts))
    finding = judge(FRESH, state, BOUND, START + timedelta(seconds=6 + age))
    assert finding.passed == (bool(key) and (touched or age <= 3600))
    told = {"pending": [{"name": name} for name in pending]}
    seen = told if unexpected is None else {**told, "unexpected": unexpected}
    assert RULES["migrations-expected"](seen, BOUND)[0] == (unexpected == [])


DESTROYS = (
    "DROP TABLE users", "DROP COLUMN name", "TRUNCATE users", "DELETE FROM users", "ALTER TABLE users DROP name",
    "REPLACE INTO users", "UPDATE users SET name", "op.drop_column('users', 'name')", "migrations.DeleteModel('User')",
)  # fmt: skip
GAPS = st.lists(st.sampled_from([" ", "\n", "\t", "/* so */", "-- so\n"]), min_size=1, max_size=3).map("".join)


@LAW
@given(
    st.sampled_from(DESTROYS),
    st.sampled_from([str, str.lower, str.title]),
    GAPS,
    st.sampled_from(["", "SELECT 1;\n", "-- safe\n"]),
)
def test_i21_a_statement_that_destroys_data_is_seen_however_it_is_written(statement, case, gap, before):
    script = before + (re.sub(" ", lambda _: gap, case(statement)) if "." not in statement else statement) + ";\n"
    assert destructive(script)
    assert destructive("CREATE TABLE t (a INTEGER);\nINSERT INTO t VALUES (1);\n") == ()


FROZEN = st.tuples(st.integers(-7200, 7200), st.integers(60, 7200))
LOCKED = st.one_of(st.none(), st.integers(1, 7200))
SECONDS = st.sampled_from([0, 600, 3000, 7000])


@LAW
@given(st.lists(FROZEN, max_size=2), LOCKED, SECONDS, st.booleans())
@example([(1000, 5000)], None, 3000, False)  # it begins after the approval
@example([(10, 5000)], None, 0, True)  # it begins under way
def test_i22_nothing_sets_out_for_staging_or_production_while_it_is_frozen_or_locked(windows, lock, waited, breaks):
    freezes = tuple(
        Freeze(f"f{n}", "quiet", (START + timedelta(seconds=at)).replace(tzinfo=None).isoformat(), "", length, "UTC")
        for n, (at, length) in enumerate(windows)
    )
    until = stamp(START + timedelta(seconds=lock)) if lock else ""
    line = ProductState({"l": Lock(e.Locked("l", "why", "ann", "t", until, ""), stamp(START))} if lock else {})
    tools = ToyTools(breaks={"production/2"} if breaks else set())
    world = world_of(tools)
    world.constraints = lambda _state: constraints(freezes, line, ProductState(), "acme", world.now(), Needed())

    def held(seconds):
        covered = any(at <= seconds < at + length for at, length in windows)
        return covered or (lock is not None and seconds < lock)

    standing = advance("r-1", world)
    assert bool(tools.calls) == (not held(0))
    if held(0):
        assert standing.state.refused.reason_code in {"frozen", "locked"}
        return
    approve(world)
    world.clock.slept += waited
    standing = advance("r-1", world)
    assert bool(production(tools)) == (not held(waited))
    assert ("one" in standing.state.acts) == (not held(waited))  # not even intended
    if not held(waited):  # under way: neither the rest nor the way back is held up
        assert standing.state.standing() == ("rolled-back" if breaks else "done")


def test_i24_healthy_is_so_many_good_answers_in_a_row_of_a_server_that_says_so(small):
    rules = dataclasses.replace(small.environment("production").health, times=3, every=1.0, deadline=6.5)
    production = small.environment("production", health=rules)
    owned = dataclasses.replace(small.product, environments={"production": production})
    answers = {
        "ok": (200, b'{"status": "ok"}'), "500": (500, b'{"status": "ok"}'), "says no": (200, b'{"status": "failing"}'),
        "says nothing": (200, b"{}"), "a part is down": (200, b'{"status": "ok", "checks": {"db": false}}'), "empty": (200, b""),
    }  # fmt: skip

    @FEW
    @given(st.lists(st.one_of(st.just("ok"), st.sampled_from(sorted(answers))), min_size=7, max_size=7))
    def holds(said):
        given_so_far = iter(said)
        plain = small.served.__class__.answer

        def answer(path):
            return (*answers[next(given_so_far)], {}) if path == "/health" else plain(small.served, path)

        small.served.answer = answer
        box = small.toolbox(owned, clock=Clock())
        seen = box.observe("health.check", {"environment": "production", "version": "1.3.0"}).facts
        row = "".join("+" if name == "ok" else "-" for name in said)
        assert seen["healthy"] is ("+++" in row)

    holds()


RULE = {"window_ms": 60_000}
WATCHED = planned(act("deploy"), basis={"watch": RULE})


@LAW
@given(
    st.integers(-5, 125),
    st.integers(50, 130),
    st.sampled_from(["healthy", "worse", "thin"]),
    st.sampled_from([RULE, {"window_ms": 1}]),
)
def test_i25_no_watch_is_shorter_than_the_planned_one(window, closed_after, last, rule):
    ends = START + timedelta(seconds=2 + window)  # the plan is the second event, a second after the first
    facts = [started(), WATCHED, e.WatchOpened("watch", ends.isoformat(), {}, rule)]
    if window < 60 or rule != RULE:
        with pytest.raises(ImpossibleHistory):
            fold(chained(*facts))
        return
    before = chained(*facts, e.Sampled("watch", "e-1", {}, last, ""))
    at = START + timedelta(seconds=3 + closed_after)
    closed = dataclasses.replace(
        chained(*[f.fact for f in before], e.WatchClosed("watch", "healthy", "", ()))[-1], at=at.isoformat()
    )
    if at >= ends and last == "healthy":
        assert fold([*before, closed]).watches["watch"].closed.outcome == "healthy"
    else:
        with pytest.raises(ImpossibleHistory):
            fold([*before, closed])


LIVE = st.fixed_dictionaries(
    {"reachable": st.sampled_from([True, True, False, 1]), "sha": st.sampled_from(["1" * 40, "2" * 40, "3" * 40, ""]),
     "version": st.sampled_from(["1.3.0", "1.4.0", ""])},
)  # fmt: skip


@LAW
@given(LIVE)
def test_i26_there_is_a_known_version_to_go_back_to_and_it_is_still_the_one(facts):
    known = facts["reachable"] is True and bool(facts["sha"]) and bool(facts["version"])
    assert RULES["live"](facts, BOUND)[0] == known
    assert RULES["still-live"](facts, BOUND)[0] == (known and facts["sha"] in {"1" * 40, "2" * 40})


@LAW
@given(st.lists(st.lists(st.integers(0, 5), max_size=4), max_size=4), st.lists(st.integers(0, 5), max_size=4))
def test_i35_each_commit_and_each_deployment_has_one_record_or_is_listed(claims, deployed):
    """Whatever the records claim: what is not listed has exactly one of them."""
    shas = [str(number) * 40 for number in range(6)]
    line = [{"sha": sha, "author": "ada", "at": "2026-11-01", "subject": "x"} for sha in shas]
    half = {"outcome": {"deployment": {"id": "", "sha": ""}}, "artefacts": []}
    releases = [
        Release(f"acme-{n}", half, half, frozenset(shas[item] for item in claim)) for n, claim in enumerate(claims)
    ]
    rows = [{"id": str(n), "sha": shas[n], "at": "", "environment": "production"} for n in deployed]
    listed = [gap.ref for gap in gaps("acme", line, releases, rows)]
    for sha in shas:
        holders = sum(sha in release.commits for release in releases)
        assert (sha in listed) == (holders != 1)
    assert all(row["id"] in listed for row in rows)  # no record says that production ran it
    assert "deployments-unknown" in [gap.kind for gap in gaps("acme", line, releases, None)]
