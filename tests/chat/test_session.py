"""A chat without a model, about a real sandbox: questions are answered from what is there, orders start, code goes on."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest

from approvals.quay import policy
from approvals.terminals import stored
from chat.talks import MINE, Talk, dock, talking, thinking, with_key
from llm.model_server import ModelServer, Say, call, text
from pilothouse.app import Request, os_user
from pilothouse.chat import releases
from pilothouse.chat.looks import Looks
from pilothouse.chat.wants import Approve, Quit
from pilothouse.events import Started
from pilothouse.harbour import Variant
from pilothouse.render.course import open_checkpoint, state_name
from pilothouse.render.screen import Tone, flat


def until_it_rests(talk, seconds=120):
    """What was told of the run meanwhile."""
    latest, told = time.monotonic() + seconds, []
    while talk.session.watching.busy or talk.session.watching.lines:
        assert time.monotonic() < latest, told
        told += [flat(spans) for spans in talk.session.watching.drain()]
        time.sleep(0.05)
    return in_a_row("\n".join(told))


def in_a_row(told):
    """Without the line breaks of a narrow terminal."""
    return " ".join(told.split())


@pytest.mark.slow
def test_a_release_and_its_way_back_from_the_first_question_to_the_last(harbour):
    world = harbour()
    talk = Talk(world.project, {**os.environ, **world.environment})
    talk.width = 200
    app = talk.session.app
    try:
        assert "Nothing was shipped" in talk.say("which runs were there?")
        told = talk.say("what is in the next release of acme?")
        for said in (
            "9 changes since 1.3.0",
            "2 features",
            "saved filters (#236)",
            "1 migration",
            "CI 3/3 green",
            "It would be 1.4.0",
        ):
            assert said in told
        assert "back up the database of production" in talk.say("/plan acme")
        assert app.runs() == []

        told = talk.say("ship it")
        assert "Order: release of acme" in told
        (state,) = app.runs()
        assert state.started.channel == "chat"
        assert "running" in talk.say("where are we?")
        told = until_it_rests(talk)
        assert "Staging sign-off" in told
        assert "Only you can approve: /approve" in told
        assert "pilothouse approve" not in told

        assert "waits at “Go to production?”" in talk.say("why does it wait?")
        assert "nobody yet" in talk.say("who approved?")
        assert "by design" in talk.say("yes go ahead")
        assert open_checkpoint(app.find()) == "go"
        talk.say("/approve")
        assert talk.want == Approve(state.run)
        app.approve(state.run, os_user("terminal"), lambda _card, word: word)
        talk.session.approved(state.run)
        told = until_it_rests(talk)
        assert "acme 1.4.0 is live" in told
        assert state_name(app.find(state.run)) == "done"
        assert "approved by" in talk.say("who approved?")
        assert "Production answers 1.4.0" in talk.say("what runs in production?")

        told = talk.say("roll it back because prices are wrong")
        assert "rollback of acme to the version before, severity high: prices are wrong" in told
        assert "Roll back?" in until_it_rests(talk)
        assert "ended for good" in talk.say("/abort it was only a test")
        talk.say("/quit")
        assert isinstance(talk.want, Quit)
    finally:
        talk.session.close()
        for conductor in talk.session.conductors._children.values():
            conductor.wait(60)


@pytest.mark.slow
def test_what_a_promotion_holds_is_told_and_that_there_is_none_is_no_error(harbour):
    world = harbour(variant=Variant(layout="promotion"))
    talk = Talk(world.project, {**os.environ, **world.environment})
    app = talk.session.app
    try:
        told = talk.say("what is in the next release of acme?")
        assert "10 commits · 8 PRs" in told and "Compliance" in told and "Nothing" not in told
        assert max(len(row) for row in told.splitlines()) <= talk.width
        told = talk.say("dry run of acme")
        assert "#241" in told and "Compliance" in told and "after approval" in told
        assert told.count("write the outcome record") == 1 and "Only if it goes wrong" not in told
        assert told.splitlines()[-1].strip() == "To do it: /promote-audited acme"

        looks = Looks(app, talk.session.thinker._rehearsed, talk.session.thinker.held, lambda _state: False, print)
        said, failed = looks.call("next_release", {"product": "acme"})
        found = json.loads(said.splitlines()[1])
        assert (failed, found["contents"]["commits"], found["would_be_refused_now"]) == (False, 10, [])
        assert len(found["summary"]["PRs"]) == 8

        state, _ = talk.session.rehearse(Request("acme", dry_run=True))
        object.__setattr__(state, "evidence", {k: v for k, v in state.evidence.items() if k != "contents"})
        told = "\n".join(flat(spans) for spans in releases.next_release(state, ["contents: too many"], 80))
        assert "not known" in told and "contents: too many" in told and "Nothing" not in told

        subprocess.run(
            ["git", "-C", str(world.origin), "update-ref", "refs/heads/main", "refs/heads/staging"], check=True
        )
        for line in ("what is in the next release of acme?", "dry run of acme", "promote acme"):
            told = talk.say(line)
            assert "Nothing to release: main holds all of staging" in in_a_row(told)
            assert talk.heard.code == 0
            assert all(span.tone is not Tone.BAD for spans in talk.heard.lines for span in spans)
        said, failed = looks.call("next_release", {"product": "acme"})
        assert (failed, "nothing_to_do" in said) == (False, True)
        assert app.runs() == []
    finally:
        talk.session.close()


@pytest.fixture
def waiting(tmp_path):
    return stored(dock(tmp_path, policy(MINE)))


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("/status", "go"),
        ("/explain ci-red", "→"),
        ("/explain ci-rde", "did you mean: ci-red"),
        ("/products", "acme: production"),
        ("/reject", "needs a reason"),
        ("/abort r-9 because", "there is no run"),
        ("/approve now please", "takes a run and nothing else"),
        ("/nonsense", "there is no workflow"),
        ("/help", "A yes in words approves nothing"),
        ("ship acme tomorrow", "nothing was started"),
        ("don't ship acme", "nothing was started"),
        ("sing a song", "You can say"),
        ("ship acme", "product-busy|holds acme"),
        ("where is acme", "Wanted of you"),
    ],
)
def test_a_line_gets_its_answer_and_changes_nothing(waiting, line, answer):
    before = len(waiting.facts())
    with talking(waiting.quay.project) as talk:
        said = talk.say(line)
        assert any(part.lower() in said.lower() for part in answer.split("|")), said
    assert len(waiting.facts()) == before


def test_what_is_rejected_in_a_chat_is_rejected_for_good(waiting):
    with talking(waiting.quay.project) as talk:
        assert "for good" in talk.say("/reject not before the holidays")
    assert state_name(waiting.state) == "aborted"


def shipping(asked):
    """Proposes to ship, and tells what the tool said."""
    if asked.results:
        return Say((text("Not now: " + asked.results[0]["content"][:200].replace("\n", " ")),))
    return Say((call("propose_order", {"do": "ship", "product": "acme"}),))


def test_what_policy_forbids_is_not_even_proposed_and_the_policy_is_named(tmp_path):
    with ModelServer(shipping) as server:
        run = stored(dock(tmp_path, thinking(server)))
        with talking(run.quay.project, **with_key()) as talk:
            talk.session.app.lock("acme", os_user("terminal"), name="incident", reason="orders get lost")
            said = talk.say("would you bring that to our customers, kindly")
            assert talk.want is None
            assert "incident" in said
            assert "acme is locked by" in talk.say("/clear") + "\n".join(
                flat(x) for x in talk.session.about(*asked_of("is it locked?"))
            )
    assert sum(isinstance(fact, Started) for fact in run.facts()) == 1


def asked_of(line):
    from pilothouse.chat import questions

    return questions.about(line), line
