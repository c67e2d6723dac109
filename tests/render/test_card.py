"""The card holds what an approver must know, bounded: the notes, what breaks, where each finding was made (REL-8)."""

from __future__ import annotations

from dataclasses import replace

from pilothouse import config
from pilothouse.canonical import Json
from pilothouse.events import Judged, Started
from pilothouse.render.card import WIDTH, render_card
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
    assert text.count("BREAKING") == 5
    assert "and 3 more breaking changes, in the notes" in text


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
