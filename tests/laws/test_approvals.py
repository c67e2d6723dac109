"""Laws about approvals: what is shown, who may, by which word, and for how long it stands."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from laws.worlds import FEW, LAW
from pilothouse import config
from pilothouse import events as e
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.approval import WORDS, drawable, entry_matches
from pilothouse.guard.clearance import ACCOUNT, SIGNATURE, STANDING, Clearance, Requirement, may_approve, missing
from pilothouse.guard.fold import fold
from pilothouse.render.card import BREAKING, WIDTH, render_card
from pilothouse.settings import Approver
from playbook.samples import CONFIG
from render.story import Story
from story import START, act, approved, chained, clearance, done, failed, intended, opened, planned, started

PRODUCT = config.parse(CONFIG).products["acme"]
MARKS = st.one_of(st.sampled_from("ab \u202e\u200b\u2066\u2028\x1b\x07\r\n"), st.characters(exclude_categories=["Cs"]))
ODD = st.text(MARKS, max_size=60)


@FEW
@given(ODD, ODD, st.lists(ODD, max_size=8))
@example("\x1b[2Jcleared", "two\u2028lines", ["\u202ereversed"] * 7)
def test_i13_the_card_is_codes_own_text_and_strangers_words_are_spelt_out_and_bounded(headline, message, breaking):
    made = Story()
    made.started()
    made.observed("contents", {"pulls": [1], "breaking": [{"summary": text} for text in breaking]}, "")
    made.observed("version", {"version": "1.4.0"}, "1.4.0")
    made.observed("notes", {"headline": headline, "text": f"# T\n\n## Fixes\n\n- {message}\n"}, "notes")
    card = render_card(made.state, PRODUCT, {"plan": "a" * 64, "acts": [], "evidence": {"ready/ci": message}})
    hidden = [
        mark for mark in card if mark != "\n" and unicodedata.category(mark) in {"Cc", "Cf", "Co", "Cn", "Zl", "Zp"}
    ]
    assert hidden == []
    lines = card.split("\n")
    assert max(map(len, lines)) <= WIDTH + 20
    assert sum(line.startswith("BREAKING ") for line in lines) == min(len(breaking), BREAKING)
    left = len(breaking) - BREAKING
    counted = [
        line
        for line in lines
        if line.strip().endswith(("more breaking change, in the notes", "more breaking changes, in the notes"))
    ]
    assert [line.split()[1] for line in counted] == ([str(left)] if left > 0 else [])


PEOPLE = ("ann", "bob", "eve", "mallory")
GROUPS = st.lists(st.sampled_from(["ceo", "security"]), max_size=2, unique=True).map(tuple)
KNOWN_BY = (ACCOUNT, SIGNATURE, STANDING, "unauthenticated", "")


@st.composite
def clearances(draw):
    approvers = tuple(Approver(who, draw(GROUPS)) for who in draw(st.sets(st.sampled_from(PEOPLE[:3]))))
    requires = tuple(Requirement(group, draw(st.integers(1, 2)), "go") for group in draw(GROUPS))
    ways = tuple(draw(st.sets(st.sampled_from([ACCOUNT, SIGNATURE, STANDING]))))
    return Clearance(
        requires, approvers, ways, draw(st.sampled_from(["require", "record"])), draw(st.sampled_from(PEOPLE)), "b" * 40
    )


@LAW
@given(
    clearances(),
    st.sampled_from([*PEOPLE, "", "Ann", "ann "]),
    st.sampled_from(KNOWN_BY),
    st.dictionaries(st.sampled_from(PEOPLE), st.sampled_from([ACCOUNT, SIGNATURE, STANDING])),
)
def test_i14_only_a_known_approver_of_an_asked_group_opens_anything(cleared, who, how, before):
    given_before = [e.Approved("go", "d", other, "t", way, None, "") for other, way in sorted(before.items())]
    groups = {group for item in cleared.approvers if item.id == who for group in item.groups}
    first, more = ({need.group for need in needs} for needs in (cleared.requires[:1], cleared.requires[1:]))
    looks = how != STANDING and bool(groups & more)  # what a release touches is for a person who looks (I11, I21)
    may = (
        how in cleared.authentications
        and (bool(groups & first) or looks)
        and (who not in before or (looks and before[who] == STANDING))
        and not (who == cleared.starter and cleared.four_eyes == "require")
    )
    assert (may_approve(cleared, given_before, who, how) is None) == may
    # Every requirement has as many distinct people of its group as it says.
    members = {item.id: item.groups for item in cleared.approvers}
    enough = all(
        sum(need.group in members.get(one, ()) for one, way in before.items() if way != STANDING or not number)
        >= need.number
        for number, need in enumerate(cleared.requires)
    )
    assert (missing(cleared, given_before) == ()) == enough


PLAN = planned(act("deploy"))
TWO = (Requirement("ceo", 2, "go"),)
BOTH = clearance(Approver("ann", ("ceo",)), Approver("bob", ("ceo",)), requires=TWO, starter="carl")
CARD = opened(plan=PLAN, cleared=BOTH)
MOVE = st.sampled_from(
    ["draw", "draw right", "draw right", "draw wrong", "right", "draw late", "draw left", "ann", "bob", "signed"]
)
MOVES = st.lists(MOVE, max_size=6).map(lambda moves: " ".join(moves).split())


@LAW
@given(MOVES, st.sampled_from(["", *WORDS]), st.text(max_size=8), st.integers(-900, 900))
@example(["draw", "right", "ann", "bob"], "", "", -1)  # one word for two
@example(["draw", "right", "ann", "draw", "right", "bob"], "GO", "ship", 0)
@example(["draw", "draw", "wrong", "right"], "GO", "ship", 0)  # a wrong one voids every word that is out
@example(["draw", "draw", "wrong", "wrong", "draw", "right", "ann"], "GO", "ship", 0)
@example(["draw", "right", "draw", "ann"], "GO", "ship", 0)  # a right one that opened nothing opens nothing later
@example(["draw", "wrong", "draw", "wrong", "draw", "wrong", "draw", "wrong"], "SHIP", "SHIP", 1)
def test_i15_a_word_is_exact_single_used_short_lived_and_never_the_last_one(moves, last, entered, seconds):
    assert set(drawable(last)) == set(WORDS) - {last}
    until = (START + timedelta(seconds=900)).isoformat()
    now = START + timedelta(seconds=900 + seconds)
    for word in drawable(last):
        assert entry_matches(word, word, until, now) == (seconds < 0)
        assert not entry_matches(word, word.lower(), until, START)
        assert not entry_matches(word, f"{word} ", until, START)
        assert entry_matches(word, entered, until, START) == (entered == word)
    facts = [started(), PLAN, CARD]
    fold(chained(*facts))
    is_drawn = holds = False
    wrong, out, people = 0, 0, set()
    for number, move in enumerate(moves):
        facts.append(_fact(move, WORDS[number]))
        if move == "draw":
            fits, is_drawn, holds, out = len(people) < 2, True, False, out + 1
        elif move in {"right", "wrong", "late", "left"}:
            wrong += move == "wrong"
            fits = (is_drawn if move == "right" else out > 0) and wrong <= 3
            is_drawn, holds, out = False, move == "right", out - 1
        else:
            who = "ann" if move == "signed" else move
            fits = (move == "signed" or holds) and who not in people and len(people) < 2
            people, holds = {*people, who}, False
        if move == "draw" and not fits:
            return  # a word for what is approved already is a matter of may_ask, not of the fold
        if not fits:
            with pytest.raises(ImpossibleHistory):
                fold(chained(*facts))
            return
        fold(chained(*facts))


def _fact(move, word):
    digest = CARD.approval_digest
    match move:
        case "draw":
            return e.WordDrawn("go", digest, "t", (START + timedelta(minutes=15)).isoformat())
        case "right" | "wrong" | "late" | "left":
            entered = {"right": word, "wrong": word.lower(), "late": word, "left": ""}[move]
            return e.WordSpent("go", digest, word, entered, matched=move == "right", channel="t")
        case "signed":
            return e.Approved("go", digest, "ann", "t", SIGNATURE, None, "signature")
        case who:
            return e.Approved("go", digest, who, "t", ACCOUNT, None, "")


ONE = opened(plan=PLAN)
LATER = (
    e.Resumed("ceo", "t"), approved(ONE), intended(PLAN, "deploy", approval=ONE.approval_digest), opened(plan=PLAN, pins={"a": {"b": "c"}}),
    e.WordDrawn("go", ONE.approval_digest, "t", START.isoformat()), e.Refused("deploy", "x", "", "", ()), done("deploy"),
    failed("deploy"), e.Ended("done", ""), e.HoldLifted("ready", "ceo", "t", ""), e.Skipped("deploy", ""),
    e.Halted("deploy", "x", "", ""), e.Branched("rollback", "deploy", "high", "x", "", returns=False),
    e.VerdictGiven("ready", "qa", "go", (), (), "model"), e.Aborted("ceo", "t", ""), e.Superseded("r-2"),
)  # fmt: skip
ENDINGS = (
    e.Rejected("go", "ceo", "t", "no"), e.Aborted("ceo", "t", "stop"), e.CheckpointExpired("go", ONE.approval_digest),
)  # fmt: skip


@LAW
@given(st.sampled_from(ENDINGS), st.booleans(), st.lists(st.sampled_from(LATER), min_size=1, max_size=2))
def test_i16_what_was_rejected_aborted_or_expired_never_goes_on(ending, cleared, later):
    assume(not (cleared and not isinstance(ending, e.Aborted)))
    before = [started(), PLAN, ONE, *([approved(ONE)] if cleared else []), ending]
    assert fold(chained(*before)).standing() == "aborted"
    with pytest.raises(ImpossibleHistory):
        fold(chained(*before, *later))
