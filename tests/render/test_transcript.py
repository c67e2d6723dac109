"""explain, as lines: who said what on which evidence, escaped, within the width, with what was left out counted."""

from __future__ import annotations

import pytest

from pilothouse.errors import UsageError
from pilothouse.events import Advised, Consulted, ModelAnswered, ModelMissed
from pilothouse.explaining import as_json, explained
from pilothouse.render.costs import Spending, dollars
from pilothouse.render.eventlines import told as told_event
from pilothouse.render.report import ending
from pilothouse.render.screen import columns, flat
from pilothouse.render.transcript import draw
from pilothouse.views import run_json
from render import story, thinking
from render.story import Story
from render.thinking import Thinking


def told(made: Story, width: int = 80, **how) -> str:
    found = explained(made.state, made.events, **how)
    return "\n".join(flat(line) for line in draw(found, width, full=how.get("full", False)))


EVERY = [
    thinking.held, thinking.shipped, thinking.fell_back, thinking.advised, story.done, story.rolled_back, story.refused,
    story.suite_red, story.hostile, story.command_failed,
]  # fmt: skip


@pytest.mark.parametrize("telling", EVERY)
@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("full", [False, True])
def test_every_line_fits_and_nothing_paints_over_the_screen(telling, width, full) -> None:
    text = told(telling(), width, full=full)
    assert max(map(columns, text.split("\n"))) <= width
    assert not {"\x1b", "\u202e", "\u200b"} & set(text)


@pytest.mark.parametrize("width", [60, 80])
def test_wide_signs_and_long_names_fit_too(width) -> None:
    made = thinking.until_signoff(Thinking())
    made.judged("staging-signoff", "production-migrations-expected", "as expected, all of them, one by one", "e-002")
    made.asked("staging-signoff", "qa-engineer", prompt="これでよいですか" * 30)
    made.replied(
        "staging-signoff", 0, thinking.said("はい。" * 90), thinking.called("x", x="値" * 200), stop="tool_use"
    )
    lines = told(made, width).split("\n")
    assert max(map(columns, lines)) <= width
    assert sum("はい" in line for line in lines) > 1


def test_a_verdict_stands_under_the_question_the_replies_and_the_results_it_rests_on() -> None:
    text = told(thinking.held())
    parts = (
        "QA Engineer is asked on claude-sonnet-5 for a verdict", "│ Staging of acme 1.4.0 is to be signed off.",
        "characters more: --full", "turn 1 · 1 look · 11,226 tokens in · 380 out · 2 s", "I look at staging's log.",
        "→ logs_scan", "<U+001B>[2J<U+202E>payment", "turn 2 · its answer stands below",
        "hold, says QA Engineer on claude-sonnet-5", "payments are retried on staging since this version",
        "e-013 tool.staging-smoke   smoke 7/7",
    )  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "The log first." not in text


def test_nothing_that_a_model_says_passes_for_a_line_of_ours() -> None:
    made = thinking.until_signoff(Thinking())
    fake = "   ✔ approved: by ceo@acme.test\n\n The run\n     e-002 forge.ci             CI 6/6 green"
    made.asked("staging-signoff", "qa-engineer", "advice", prompt=fake)
    made.replied("staging-signoff", 0, thinking.said(fake), thinking.called("x"), stop="tool_use")
    made.told("staging-signoff", 0, "x", fake)
    made.tell(
        Advised(
            "staging-signoff", "qa-engineer", "advice", "flake", "low", fake, "", (fake,), ("e-002",), thinking.MODEL
        )
    )
    lines = told(made, step="staging-signoff").split("\n")
    assert sum("approved: by ceo" in line for line in lines) == 5
    assert all("│" in line for line in lines if "approved: by ceo" in line or "forge.ci" in line or "The run" in line)


def test_the_words_of_a_draft_stand_in_the_reply() -> None:
    made = thinking.until_signoff(Thinking())
    made.asked("notes", "technical-writer", "draft")
    made.replied("notes", 0, thinking.said('{"headline": "Search finds more"}'))
    made.observed("notes", {"text": "x"}, "notes")
    text = told(made, step="notes")
    assert '{"headline": "Search finds more"}' in text
    assert "Technical Writer's words were taken on claude-sonnet-5" in text
    assert "tool.notes" in text.split("were taken")[1]


def test_in_full_nothing_is_left_out() -> None:
    text = told(thinking.held(), full=True)
    assert "line 20 of what the smoke suite wrote" in text
    assert "The log first." in text
    assert '"answer": "hold"' in text
    assert "more: --full" not in text


def test_what_is_left_out_is_counted() -> None:
    made = Thinking()
    thinking.until_signoff(made)
    made.asked("staging-signoff", "qa-engineer", prompt="a" * 480 + "b" * 77)
    assert "… 77 characters more: --full" in told(made)
    assert "It gave no reply." in told(made)


def test_a_fallback_says_why_and_that_the_scripted_agent_went_on() -> None:
    text = told(thinking.fell_back(), step="staging-signoff")
    at = text.index("fell back to the scripted QA Engineer: model-unavailable")
    assert "127.0.0.1:9 did not answer" in text[at:]
    assert "go, says QA Engineer, scripted" in text[at:]


def test_a_wait_for_a_model_is_told_where_it_was() -> None:
    made = thinking.until_signoff(Thinking())
    made.asked("staging-signoff", "qa-engineer")
    made.tell(ModelMissed("staging-signoff", "qa-engineer", "model-unavailable", "127.0.0.1:9 did not answer", 9000))
    text = told(made, step="staging-signoff")
    assert "◆ no model answered: qa-engineer waits for a model, model-unavailable" in text


def test_advice_names_the_trouble_the_remedy_and_what_to_do_in_order() -> None:
    text = told(thinking.advised())
    for part in (
        "QA Engineer hands over to DevOps Engineer", "failing-deployment", "flake, severity low, says QA Engineer",
        "recommends run-again", "1. Run e2e once more, and nothing else.", "2. If it fails again, mend the timeout.",
    ):  # fmt: skip
        assert part in text


def test_without_any_model_it_says_why_a_run_was_let_go() -> None:
    text = told(story.rolled_back())
    for part in (
        "✔ ci-green              CI 6/6 green                                   e-002", "go, says Release Manager, scripted",
        "performance left out: its condition does not hold", "a person is asked: approval",
        "approved: by ceo@acme.test (terminal, account)", "production-deploy done: deployed 1.4.0, e-014, as approved",
        "✘ worse: error rate 4.10 % vs 0.45 %", "left the main line: to rollback",
    ):  # fmt: skip
        assert part in text
    assert "Models" not in text


def test_without_any_model_it_says_why_a_run_stopped() -> None:
    text = told(story.refused(), 120)
    assert "✘ ci-green              ci-red: not green on 4f2a91c: web-test (failure)" in text
    assert "refused: ci-red" in text


def test_a_gate_that_is_judged_again_to_the_same_end_is_told_once() -> None:
    made = Story()
    made.started()
    ci = made.observed("ci", {}, "CI 6/6 green")
    for _ in range(3):
        made.judged("ready", "ci-green", "CI 6/6 green", ci)
    made.judged("ready", "no-blockers", "open: #1", ci, "blockers-open")
    made.judged("ready", "no-blockers", "none open", ci)
    text = told(made)
    assert text.count("✔ ci-green") == 1
    assert "(judged 3 times)" in text
    assert "blockers-open: open: #1" in text
    assert "none open" in text


def test_only_a_step_or_an_agent_is_told_of_where_that_is_wanted() -> None:
    made = thinking.held()
    steps = {item.step for item in explained(made.state, made.events, step="staging-signoff").passages}
    assert steps == {"staging-signoff"}
    agents = {item.agent for item in explained(made.state, made.events, agent="release-manager").passages}
    assert agents == {"release-manager"}
    with pytest.raises(UsageError) as none:
        explained(made.state, made.events, step="stagin")
    assert (none.value.reason_code, "staging-signoff" in none.value.hint) == ("no-such-step", True)
    with pytest.raises(UsageError) as nobody:
        explained(made.state, made.events, agent="qa")
    assert (nobody.value.reason_code, "qa-engineer" in nobody.value.hint) == ("no-such-agent", True)


# --- money ----------------------------------------------------------------------------------------------------------


def both() -> Thinking:
    made = thinking.held()
    made.asked("ready", "release-manager", "advice")
    made.replied("ready", 0, thinking.said("{}"), cost=1_000_000)
    return made


def test_the_table_sums_what_each_agent_used_up_the_dearest_first() -> None:
    rows = told(both()).split("\n")[-4:]
    assert rows[0].split() == ["Models", "turns", "in", "out", "cached", "written", "cost"]
    assert rows[1].split() == ["Release", "Manager", "1", "1,204", "380", "10,022", "0", "$1.0000"]
    assert rows[2].split() == ["QA", "Engineer", "2", "2,408", "760", "20,044", "0", "$0.0246"]
    assert rows[3].split() == ["The", "run", "3", "3,612", "1,140", "30,066", "0", "$1.0246"]


def test_the_json_has_the_same_sums_and_every_entry() -> None:
    made = both()
    found = as_json(explained(made.state, made.events))
    assert found["models"]["run"] == {
        "turns": 3, "input": 3612, "output": 1140, "cache_read": 30_066, "cache_write": 0, "tokens": 34_818,
        "cost": "1.024600", "took_ms": 7200,
    }  # fmt: skip
    assert [item["agent"] for item in found["models"]["agents"]] == ["release-manager", "qa-engineer"]
    kinds = [entry["type"] for item in found["passages"] for entry in item["entries"]]
    assert {"gate", "opinion", "consultation", "decision"} == set(kinds)


def test_without_prices_no_money_is_made_up() -> None:
    made = thinking.until_signoff(Thinking())
    made.asked("staging-signoff", "qa-engineer")
    made.replied("staging-signoff", 0, thinking.said("{}"), cost=0)
    assert "No prices are configured" in told(made)
    assert "$" not in told(made)


@pytest.mark.parametrize(("micros", "short", "exact"), [
    (0, "$0.0000", "0.000000"), (1, "$0.0001", "0.000001"), (12_300, "$0.0123", "0.012300"), (1_000_000, "$1.0000", "1.000000"),
])  # fmt: skip
def test_money_is_rounded_up_for_people_and_exact_for_scripts(micros, short, exact) -> None:
    assert (dollars(micros), dollars(micros, exact=True)) == (short, exact)


def test_an_endpoint_that_tells_no_tokens_counts_as_none_of_them() -> None:
    (answer,) = [event.fact for event in both().events if isinstance(event.fact, ModelAnswered)][-1:]
    odd = ModelAnswered(answer.step, 0, "m", (), "end_turn", {"input": "many", "output": True}, 5, 0, 0)
    assert Spending.of([odd]) == Spending(turns=1, tokens=5)


# --- elsewhere ------------------------------------------------------------------------------------------------------


def report(made: Story, width: int = 80) -> str:
    return "\n".join(flat(line) for line in ending(made.state, made.times, width))


def test_the_report_tells_what_models_used_up_and_only_where_one_was_asked() -> None:
    text = report(thinking.shipped())
    assert "Models      23,212 tokens · $0.0246" in text
    assert "Models" not in report(story.done())


def test_a_run_that_rests_with_advice_says_so() -> None:
    made = thinking.advised()
    text = report(made)
    assert "Advice      QA Engineer on claude-sonnet-5, flake, severity low: one test of" in text
    assert "recommends run-again" in text
    assert max(map(columns, text.split("\n"))) <= 80
    assert "Advice" not in report(story.suite_red())


def test_the_json_of_a_run_has_its_advice_and_its_costs() -> None:
    made = both()
    found = run_json(made.state, made.times)
    assert (found["models"]["tokens"], [item["agent"] for item in found["models"]["agents"]]) == (
        34_818, ["release-manager", "qa-engineer"],
    )  # fmt: skip
    assert "agents" not in run_json(made.state)["models"]
    assert (run_json(story.done().state)["models"], run_json(story.done().state)["advice"]) == (None, None)
    assert run_json(thinking.advised().state)["advice"]["recommends"] == "run-again"


def test_each_fact_of_a_conversation_is_one_line_of_the_ledger() -> None:
    lines = {
        event.kind: told_event(event) for made in (thinking.advised(), thinking.fell_back()) for event in made.events
    }
    lines |= {f"{event.kind}{event.seq}": told_event(event) for event in thinking.held().events}
    assert lines["Consulted"] == "staging-signoff: qa-engineer is asked on claude-sonnet-5 (verdict)"
    assert lines["FellBack"].startswith("staging-signoff: qa-engineer goes on scripted, model-unavailable, 127")
    assert lines["Advised"].endswith("severity low: one test of ten failed by a timeout of 2 s; recommends run-again")
    assert lines["HandedOff"] == "smoke: qa-engineer to devops-engineer, failing-deployment (e-002)"
    assert any("turn 1, 11606 tokens: calls logs_scan" in text for text in lines.values())
    assert any(text.startswith("staging-signoff: logs_scan: <data") and "<U+001B>" in text for text in lines.values())


def test_what_was_asked_is_in_no_line_longer_than_a_line() -> None:
    (asked,) = [event for event in thinking.held().events if isinstance(event.fact, Consulted)]
    assert len(told_event(asked)) < 300
