"""How a run ended, in calm words: what is live, what was ticked by which evidence, and the way back (REL-13)."""

from __future__ import annotations

from pilothouse.render.report import checklists, ending
from pilothouse.render.screen import flat
from render import story
from render.story import Story


def told(made: Story, width: int = 80) -> str:
    return "\n".join(flat(line) for line in ending(made.state, made.times, width))


def test_the_ship_report_names_what_is_live_where_and_how_to_undo_it() -> None:
    text = told(story.done())
    for part in (
        "acme 1.4.0 is live", "https://acme.test", "https://forge.test/acme/releases/v1.4.0", "v1.4.0 · 91be07d",
        "healthy: error rate 0.42 % vs 0.45 %", f"pilothouse status {story.RUN} --notes", "pilothouse audit verify",
        "pilothouse rollback acme --to 1.3.0",
    ):  # fmt: skip
        assert part in text
    assert 10 <= len(text.strip().splitlines()) <= 20


def test_every_tick_rests_on_evidence_that_the_ledger_holds() -> None:
    state = story.done().state
    ticks = [tick for _, made in checklists(state) for tick in made]
    assert {title for title, _ in checklists(state)} == {"Pre-release", "Staging", "Production"}
    assert all(evidence in state.evidence_by_id for _, evidence in ticks)


def test_what_did_not_happen_has_no_tick() -> None:
    made = dict(checklists(story.waiting().state))
    assert "Production" not in made
    assert ("smoke", "e-013") in made["Staging"]


def test_a_workflow_that_ends_on_staging_is_never_called_live() -> None:
    text = told(story.staged_only())
    assert "acme 1.4.0 is on staging" in text
    assert "Nothing was changed in production." in text
    assert "live" not in text.lower()
    assert "rollback" not in text


def test_a_rollback_says_why_what_is_now_and_what_next() -> None:
    text = told(story.rolled_back())
    assert "acme is back on 1.3.0" in text
    assert "error rate 4.10 % vs 0.45 % (severity high)" in text
    assert "Production runs 1.3.0 again" in text
    assert "https://forge.test/acme/issues/214" in text
    assert "pilothouse ship acme" in text


def test_a_refusal_before_production_says_that_nothing_changed_there() -> None:
    assert "Nothing was changed in production." in told(story.refused())


def test_a_waiting_run_shows_its_card_and_both_answers() -> None:
    text = told(story.waiting())
    assert "╭ Go to production? " in text
    assert f"pilothouse approve {story.RUN}" in text
    assert f"pilothouse reject {story.RUN}" in text
