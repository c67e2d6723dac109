"""A journalled conversation answers again, word for word, and says what differs where something does (AGT-4)."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from cli.sample import pilothouse, project
from llm import playing
from llm.model_server import KEY, ModelServer, Say, call, text, thought
from pilothouse import harbour as sandbox
from pilothouse.errors import InvalidFile, ModelFailed
from pilothouse.events import FellBack, Resumed
from pilothouse.harbour import Variant
from pilothouse.llm.recorded import Recorded, conversations, exported, load
from pilothouse.ports import Usage
from render import story, thinking
from render.thinking import HOLD, Thinking
from shipping import ship

STEP = "staging-signoff"


def told(text):
    return {"role": "user", "content": text}


def test_each_turn_is_answered_as_it_was_then():
    made, heard = thinking.held(), []
    model = Recorded(made.events)
    first = model.answer(made.ask_of(STEP, 0), heard.append)
    assert [block["type"] for block in first.content] == ["thinking", "text", "tool_use"]
    assert (first.stop, first.model, first.usage) == ("tool_use", thinking.MODEL, Usage(1204, 380, 10_022, 0))
    assert heard == ["I look at staging's log."]
    second = model.answer(made.ask_of(STEP, 1))
    assert json.loads(second.content[0]["text"]) == HOLD
    assert model.unplayed() == ()


def test_what_is_done_to_an_answer_does_not_change_the_recording():
    made = thinking.held()
    model = Recorded(made.events)
    model.answer(made.ask_of(STEP, 0)).content[2]["input"]["path"] = "/etc/passwd"
    assert model.answer(made.ask_of(STEP, 0)).content[2]["input"] == {}


def test_a_resume_goes_on_where_the_ledger_ends_and_a_lost_reply_is_given_once_more():
    made = thinking.held()
    model = Recorded(made.events)
    assert model.answer(made.ask_of(STEP, 1)).stop == "end_turn"  # turn 0 was journalled before the kill
    assert model.answer(made.ask_of(STEP, 1)).stop == "end_turn"  # killed between the reply and the ledger


def test_the_same_question_is_answered_in_the_ledgers_order():
    made = thinking.fell_back()
    made.events = made.events[:-2]
    made.tell(FellBack(STEP, "qa-engineer", "model-malformed", "no JSON"))
    made.considered(STEP, "qa-engineer", HOLD)
    model = Recorded(made.events)
    with pytest.raises(ModelFailed) as failed:
        model.answer(made.ask_of(STEP, 0))
    assert (failed.value.reason_code, failed.value.message) == ("model-malformed", "no JSON")
    assert model.answer(made.ask_of(STEP, 0, nth=1)).stop == "tool_use"


def test_what_failed_then_fails_again_in_the_same_way():
    made = thinking.fell_back()
    with pytest.raises(ModelFailed) as failed:
        Recorded(made.events).answer(made.ask_of(STEP, 0))
    assert failed.value.reason_code == "model-unavailable"


@pytest.mark.parametrize(("turn", "changes", "what"), [
    (0, {"system": ("You approve everything.",)}, "nobody was asked with this persona"),
    (0, {"tools": ()}, "nobody was asked with this persona and these tools"),
    (0, {"model": "another"}, f"asked of {thinking.MODEL}, and now of another"),
    (0, {"messages": (told(thinking.QUESTION.replace("1.4.0", "1.5.0")),)}, "is 'Staging of acme 1.5.0"),
    (0, {"messages": (told(thinking.QUESTION + "!"),)}, f"from character {len(thinking.QUESTION) + 1} on"),
    (0, {"messages": ()}, "the question to qa-engineer"),
    (1, {"messages": (told(thinking.QUESTION), {"role": "assistant", "content": []})}, "had 3 messages here, not 2"),
])  # fmt: skip
def test_what_was_not_asked_then_is_not_answered_and_the_difference_is_named(turn, changes, what):
    made = thinking.held()
    with pytest.raises(ModelFailed) as failed:
        Recorded(made.events).answer(made.ask_of(STEP, turn, **changes))
    assert failed.value.reason_code == "recording-differs"
    assert what in failed.value.message


def with_result(ask, text):
    *before, last = ask.messages
    return replace(ask, messages=(*before, {**last, "content": [{**last["content"][0], "content": text}]}))


def test_another_result_of_a_tool_is_another_conversation_unless_it_is_replayed_loosely():
    made = thinking.held()
    ask = with_result(made.ask_of(STEP, 1), "the log is clean")
    with pytest.raises(ModelFailed, match="message 3 of qa-engineer at staging-signoff"):
        Recorded(made.events).answer(ask)
    loose = Recorded(made.events, loosely=True)
    first = replace(made.ask_of(STEP, 0), messages=(told("the same in another world"),))
    assert loose.answer(first).stop == "tool_use"
    assert loose.answer(replace(ask, messages=(*first.messages, *ask.messages[1:]))).stop == "end_turn"


def test_another_call_than_then_is_a_difference_however_loosely_it_is_replayed():
    made = thinking.held()
    ask = made.ask_of(STEP, 1)
    changed = {"role": "assistant", "content": [thinking.called("x")]}
    with pytest.raises(ModelFailed, match="message 2 of"):
        Recorded(made.events, loosely=True).answer(
            replace(ask, messages=(ask.messages[0], changed, ask.messages[2]))
        )  # fmt: skip


def test_one_turn_more_than_then_is_not_made_up():
    made = thinking.held()
    ask = made.ask_of(STEP, 2)
    with pytest.raises(ModelFailed, match="gave 2 replies, and is asked for one more"):
        Recorded(made.events).answer(ask)


def test_asked_more_often_than_then_it_says_so():
    made = thinking.held()
    model = Recorded(made.events)
    for turn in (0, 1):
        model.answer(made.ask_of(STEP, turn))
    with pytest.raises(ModelFailed, match="was asked this once, and now again"):
        model.answer(made.ask_of(STEP, 0))


def test_tokens_are_counted_as_the_endpoint_counted_them():
    made = thinking.held()
    assert Recorded(made.events).count(made.ask_of(STEP, 0)) == 1204 + 10_022


def test_a_conversation_ends_with_what_was_asked_for_and_advice_with_a_resume():
    assert [type(talk.ended.fact).__name__ for talk in conversations(thinking.held().events)] == ["VerdictGiven"]
    made = thinking.advised()
    made.events = made.events[:-2]  # killed before it came to anything
    made.tell(Resumed("ann", "terminal"))
    made.asked("smoke", "qa-engineer", "advice")
    talks = conversations(made.events)
    assert [(len(talk.answers), talk.ended) for talk in talks] == [(1, None), (0, None)]


# --- from another machine -------------------------------------------------------------------------------------------


def test_an_exported_run_answers_as_its_ledger_does(tmp_path):
    made = thinking.held(Thinking())
    folder = project(tmp_path / "p", made)
    printed = pilothouse("audit", "show", story.RUN, "--json", cwd=folder).out
    (tmp_path / "export.json").write_text(printed, encoding="utf-8")
    there = load(tmp_path / "export.json")
    for turn in (0, 1):
        asked = made.ask_of(STEP, turn)
        assert there.answer(asked) == Recorded(made.events).answer(asked)
    assert [event.fact for event in exported(printed, "x")] == [event.fact for event in made.events]


@pytest.mark.parametrize(("text", "why"), [
    ("{", "not JSON"), ("[]", "no pilothouse.audit-show/1"), ('{"schema": "pilothouse.status/1"}', "no pilothouse"),
    ('{"schema": "pilothouse.audit-show/1", "events": [{"seq": 1}]}', "not whole"),
    ('{"schema": "pilothouse.audit-show/1", "events": [{"seq": 1, "prev": "", "at": "", "hash": "", "kind": "Odd", "fact": {}}]}', "unknown kind"),
])  # fmt: skip
def test_what_is_no_export_is_refused(text, why):
    with pytest.raises(InvalidFile, match=why):
        exported(text, "export.json")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidFile, match="cannot be read"):
        load(tmp_path / "none.json")


# --- through the engine ---------------------------------------------------------------------------------------------


def citing(asked):
    """One look, and then an answer that cites the first piece of evidence that the question names."""
    if asked.turn == 0 and asked.tools:
        return Say((thought("Look first."), text("I look."), call(asked.tools[0])))
    answer = playing.fitting(asked)
    if "cites" in answer:
        answer["cites"] = re.findall(r"e-\d+", str(asked.body["messages"][0]["content"]))[:1]
    return Say((text(json.dumps(answer)),))


def said_in(app, run):
    """What every conversation came to, and every verdict, with what it cites and by whom."""
    events = [event for event in app.journal.read("acme") if event.run == run]
    talks = [(talk.place, len(talk.answers), type(talk.ended.fact).__name__) for talk in conversations(events)]
    return events, talks, [event.fact for event in events if event.kind == "VerdictGiven"]


@pytest.mark.slow
def test_a_release_replayed_in_another_world_comes_to_the_same_verdicts(harbour, conduct, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with ModelServer(citing) as server:
        variant = Variant(models=f"models:\n  base_url: {server.url}\n")
        first = harbour(variant=variant)
        app = conduct(first)
        state = ship(app).state
        events, talks, verdicts = said_in(app, state.run)
        asked = len(server.asked)
        app.close()
    sandbox.down(first.folder)
    assert asked == sum(turns for _, turns, _ in talks) > 4
    assert "VerdictGiven" in {ended for *_, ended in talks}

    second = harbour(variant=variant)  # the same ports, so the same commits; the model's server is gone
    app, recorded = conduct(second), Recorded(events, loosely=True)
    monkeypatch.setattr(app, "model", lambda _models: recorded)
    again = ship(app).state
    assert again.standing() == state.standing() == "done"
    assert said_in(app, again.run)[1:] == (talks, verdicts)
    assert recorded.unplayed() == ()
