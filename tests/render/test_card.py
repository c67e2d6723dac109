"""The card holds what an approver must know, bounded: the notes, what breaks, where each finding was made (REL-8)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pilothouse import config
from pilothouse.canonical import Json
from pilothouse.events import HoldLifted, Judged, Overridden, Started, VerdictGiven
from pilothouse.guard.clearance import Clearance, Requirement
from pilothouse.render.card import HEIGHT, WIDTH, render_card
from pilothouse.settings import Approver
from playbook.samples import CONFIG
from render import story
from render.story import Story

NOTES = "# Acme 1.4.0\n\n2026-11-21 · since 1.3.0\n\nFaster search\n\n## New features\n\n" + "".join(
    f"- feature {number} (#{number})\n" for number in range(1, 21)
)
LONG = "set the variable ACME_TOKEN before you upgrade, and run the export once"


def card(made: Story, **basis: Json) -> str:
    product = config.parse(CONFIG).products["acme"]
    return render_card(made.state, product, {"plan": "a" * 64, "acts": [], "evidence": {}, **basis})


def shipping(notes: str = NOTES, *breaking: dict[str, Json]) -> Story:
    made = Story()
    made.started()
    contents: dict[str, Json] = {"pulls": [1], "commits": 3, "breaking": list(breaking)}
    made.observed("contents", contents, "3 commits")
    made.observed("version", {"version": "1.4.0"}, "1.4.0")
    made.observed("notes", {"headline": "Faster search", "text": notes}, "notes")
    return made


def test_the_first_lines_of_the_notes_stand_on_the_card_and_the_rest_is_counted() -> None:
    text = card(shipping())
    assert "Notes         New features:\n              - feature 1 (#1)" in text
    assert "- feature 8 (#8)" in text
    assert "feature 9" not in text
    assert f"… 12 more lines: pilothouse status {story.RUN} --notes" in text
    assert "2026-11-21 · since" not in text


def test_a_list_of_findings_is_broken_between_them_and_not_within() -> None:
    evidence: dict[str, Json] = {f"ready/gate-{number}": f"finding number {number} is well" for number in range(1, 8)}
    rows = [line for line in card(shipping(), evidence=evidence).split("\n") if "finding" in line]
    assert len(rows) == 4
    assert all(line.endswith(("is well", "is well ·")) for line in rows)


def test_marks_of_markdown_are_not_drawn() -> None:
    text = card(shipping("# T\n\n## Bug fixes\n\n- **api:** a price\n- dependabot\\[bot\\]\n"))
    assert "Notes         Bug fixes:\n              - api: a price\n              - dependabot[bot]" in text


def test_short_notes_stand_there_whole_and_nothing_is_counted() -> None:
    text = card(shipping("# Acme 1.4.0\n\n## Bug fixes\n\n- prices are right\n"))
    assert "- prices are right" in text
    assert "more line" not in text


def test_notes_of_strangers_are_escaped_and_cannot_widen_the_card() -> None:
    text = card(shipping("## \x1b[2JNew\n" + "- " + "very " * 80 + "long\n- \u202eturned\n"))
    assert "\x1b" not in text
    assert "<U+202E>turned" in text
    assert max(len(line) for line in text.split("\n")) <= WIDTH


def test_a_breaking_change_names_its_migration_path_or_that_there_is_none() -> None:
    entries: list[dict[str, Json]] = [
        {"summary": "the export needs a token", "migration": LONG, "number": 7, "sha": "a" * 40},
        {"summary": "v1 is gone", "migration": "", "number": 8, "sha": "b" * 40},
    ]
    text = " ".join(card(shipping(NOTES, *entries)).split())
    assert f"BREAKING the export needs a token; migration: {LONG}" in text
    assert "BREAKING v1 is gone; no migration path is described" in text


def test_breaking_changes_that_are_left_out_are_counted() -> None:
    entries: list[dict[str, Json]] = [{"summary": f"change {n}", "migration": "", "number": n} for n in range(1, 9)]
    text = card(shipping(NOTES, *entries))
    assert text.count("BREAKING") == 3
    assert "and 5 more breaking changes, in the notes" in text


def test_a_finding_says_which_environment_it_speaks_of() -> None:
    made = shipping()
    told = "pending migrations as expected: 1"
    evidence: dict[str, Json] = {}
    for place in ("staging", "production"):
        seen = made.observed(f"{place}-migrations", {"pending": []}, "1 pending")
        made.tell(
            Judged(
                "ready", f"{place}-migrations-expected", passed=True, reason_code="ok", message=told, evidence=(seen,)
            )
        )
        evidence[f"ready/{place}-migrations-expected"] = told
    green = made.observed("ci", {"checks": []}, "CI 6/6 green")
    made.judged("ready", "ci-green", "CI 6/6 green", green)
    evidence["ready/ci-green"] = "CI 6/6 green"
    text = " ".join(card(made, evidence=evidence).split())
    assert f"{told} (staging, production) · CI 6/6 green" in text


def rolling_back(**inputs: Json) -> Story:
    made = Story()
    made.started()
    first = made.events[0]
    assert isinstance(first.fact, Started)
    told: dict[str, Json] = {"severity": "high", "reason": "prices are wrong", "to_version": "1.3.0", **inputs}
    made.events[0] = replace(first, fact=replace(first.fact, workflow="rollback", from_version="1.4.0", inputs=told))
    return made


def test_a_rollbacks_card_offers_no_notes_and_promises_no_way_that_there_is_not() -> None:
    text = card(rolling_back())
    assert "--notes" not in text
    assert "ship 1.4.0 again" not in text
    assert "a rollback is never rolled back" in text


def test_what_is_restored_is_called_the_same_in_a_release_and_in_a_rollback_of_its_own() -> None:
    restore: Json = {
        "branch": "main",
        "tool": "backup.restore",
        "arguments": {"environment": "production", "backup": "k"},
    }
    text = " ".join(card(rolling_back(backup="k"), acts=[restore]).split())
    assert "restore the database of production from the release's backup" in text
    assert "this run's" not in text


ANN, DAN = Approver("ann", ("ceo", "ci")), Approver("dan", ("ceo",))
TWO = (Requirement("ceo", 2, "go"), Requirement("ci", 1, "changes what CI runs: .github/workflows/ci.yml"))


def needing(*requires: Requirement, four_eyes: str = "record", known: tuple[str, ...] = ("account",)) -> Json:
    return Clearance(requires, (ANN, DAN), known, four_eyes, "bob", "b" * 40).as_json()


def test_whose_approval_is_needed_stands_on_the_card_with_names_and_reasons() -> None:
    text = " ".join(card(shipping(), checkpoint="go", clearance=needing(*TWO, four_eyes="require")).split())
    assert "Needs 2 of ceo (ann, dan) 1 of ci (ann): changes what CI runs: .github/workflows/ci.yml" in text
    assert "not bob, who started the run" in text
    assert "SSH signature" not in text
    signed = " ".join(card(shipping(), checkpoint="go", clearance=needing(*TWO, known=("ssh-signature",))).split())
    assert "each by an SSH signature; a typed word does not count" in signed


def test_where_nobody_may_approve_the_card_says_so() -> None:
    assert "Needs         NOBODY may approve" in card(shipping())


def test_a_group_without_anybody_is_seen() -> None:
    assert "1 of board (nobody)" in card(shipping(), clearance=needing(Requirement("board", 1, "go")), checkpoint="go")


def crowded() -> str:
    """A card with much of everything."""
    entries: list[dict[str, Json]] = [
        {"summary": "x" * 90, "migration": "", "number": n, "sha": "a" * 40} for n in range(1, 2)
    ]
    evidence: dict[str, Json] = {f"ready/gate-{number}": f"finding number {number} is well" for number in range(1, 40)}
    acts: list[Json] = [
        {"branch": branch, "tool": "deploy.apply", "arguments": {"environment": "production", "version": str(number)}}
        for branch, most in (("main", 8), ("rollback", 6), ("merge-by-hand", 1))
        for number in range(most)
    ]
    return card(shipping(NOTES, *entries), evidence=evidence, acts=acts, clearance=needing(*TWO), checkpoint="go")


def test_a_crowded_card_is_one_screen_with_its_frame_and_its_question() -> None:
    text = crowded()
    assert len(text.splitlines()) <= HEIGHT
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    # frame, the empty line before it, what is said of ABORT, the question, and the line that called it
    assert HEIGHT + 2 + 1 + 1 + 1 + 1 <= 40


def test_what_gives_way_on_a_crowded_card_is_counted_and_no_act_gives_way() -> None:
    text = " ".join(crowded().split())
    assert re.search(r"finding number \d+ is well · and 3\d more", text)
    assert "more lines: pilothouse status" in text
    for number in range(8):
        assert f"{number + 1} deploy {number} " in text
    assert "And only if it goes wrong (rollback): 1 deploy 0 " in text


def test_a_card_that_was_opened_again_says_first_what_changed() -> None:
    lines = card(shipping(), difference=["main moved: 4f2a91c → 91be07d", "the migrations changed"]).splitlines()
    assert lines[2] == "CHANGED       since the last card; every earlier approval is void:"
    assert lines[3:5] == [f"{'':14}→ main moved: 4f2a91c → 91be07d", f"{'':14}→ the migrations changed"]


@pytest.mark.parametrize(
    ("undo", "destructive", "worst"),
    [
        ("code", False, "errors until 1.3.0 is back, about 2 minutes; no data is lost"),
        ("restore", False, "what users wrote since the backup is lost"),
        ("forward-only", False, "it cannot be taken back"),
        ("code", True, "data is destroyed"),
    ],
)
def test_the_worst_credible_outcome_follows_from_the_migrations(undo: str, destructive: bool, worst: str) -> None:
    made = shipping()
    pending: list[Json] = [{"name": "0007", "undo": undo, "destructive": destructive}]
    made.observed("production-migrations", {"pending": pending}, "1 pending")
    text = " ".join(card(made).split())
    assert "At worst" in text
    assert worst in text


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("approve p\u0430ypal", "approve p<U+0430>ypal"),  # a Cyrillic a in a Latin word
        ("\u0410PPROVE", "<U+0410>PPROVE"),
        ("G\u039f now", "G<U+039F> now"),  # a Greek O
        ("\uff27\uff2f", "<U+FF27><U+FF2F>"),
        ("\U0001d406o", "<U+1D406>o"),
        ("\u043f\u043e\u0438\u0441\u043a \u0431\u044b\u0441\u0442\u0440\u0435\u0435", "\u043f\u043e\u0438\u0441\u043a \u0431\u044b\u0441\u0442\u0440\u0435\u0435"),
        ("caf\u00e9 na\u00efve \u03b1\u03b2\u03b3 \u5feb\u901f", "caf\u00e9 na\u00efve \u03b1\u03b2\u03b3 \u5feb\u901f"),
        ("5 \u00b5s, 10 \u03a9, 3 \u00d7 4 \u2192 \u2026", "5 \u00b5s, 10 \u03a9, 3 \u00d7 4 \u2192 \u2026"),
    ],
)  # fmt: skip
def test_letters_that_pass_for_others_are_marked_and_languages_are_let_be(told: str, shown: str) -> None:
    assert f"For users     {shown}\n" in card(headlined(told))


def excepted(number: int, *overrides: int, reason: str = "because") -> Story:
    """A run with so many exceptions; those of these places are overrides."""
    made = shipping()
    for place in range(number):
        if place in overrides:
            made.tell(Overridden(f"freeze-{place}", "ann", "terminal", "account", f"{reason} {place}"))
        else:
            made.tell(VerdictGiven("ready", "qa-engineer", "hold", (), (), "model"))
            made.tell(HoldLifted("ready", "ann", "terminal", f"{reason} {place}"))
    return made


def section(text: str, label: str) -> str:
    """What stands beside one label of a card."""
    return " ".join(re.split(r"\n(?=\S|\n)", text.split(f"\n{label}", 1)[1])[0].split())


def test_every_exception_is_on_the_card_or_counted_and_the_latest_and_the_overrides_are_there() -> None:
    for number in (1, 6, 7, 20):
        told = section(card(excepted(number, 0, 2, reason="r" * 250)), "Exceptions")
        shown = min(number, 6)
        assert told.count("lifted by ann") + told.count("overridden by ann") == shown
        assert (f"and {number - shown} more: pilothouse status {story.RUN} --json" in told) is (number > shown)
        assert "freeze-0 overridden by ann" in told
    told = section(card(excepted(20, 0, 2)), "Exceptions")
    assert told.startswith(
        "hold of ready lifted by ann: because 19 · freeze-2 overridden by ann: because 2 · "
        "freeze-0 overridden by ann: because 0 · hold of ready lifted by ann: because 18 · "
    )
    assert "Exceptions    none" in card(shipping())


def test_what_is_not_verified_is_on_the_card_or_counted() -> None:
    product = config.parse(CONFIG).products["acme"]
    open_ends = tuple(f"area {number} {'x' * 90}" for number in range(9))
    text = render_card(
        shipping().state, replace(product, not_verified=open_ends), {"plan": "a" * 64, "acts": [], "evidence": {}}
    )
    told = section(text, "Not verified")
    assert [f"area {number}" in told for number in range(9)] == [True] * 5 + [False] * 4
    assert told.endswith("and 4 more")
    assert section(card(shipping()), "Not verified") == "load above 50 requests a second"


def headlined(text: str) -> Story:
    made = shipping()
    made.observed("notes", {"headline": text, "text": ""}, "notes")
    return made
