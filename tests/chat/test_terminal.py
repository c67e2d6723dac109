"""The chat at a real terminal, and through a pipe: who types the word, who confirms an order, what a yes in prose does."""

from __future__ import annotations

import subprocess

import pytest

from approvals.quay import policy
from approvals.terminals import PROGRAM, PROMPT, environment, on_terminal, stored
from chat.talks import MINE, dock, thinking, with_key
from llm.model_server import ModelServer, Say, call, text
from pilothouse.events import Aborted, Approved, WordDrawn, WordSpent

QUIET = {"PROMPT_TOOLKIT_NO_CPR": "1"}  # nobody answers where the cursor is


@pytest.fixture
def waiting(tmp_path):
    """A run in a ledger on disk that waits for whoever runs these tests."""
    return stored(dock(tmp_path, policy(MINE)))


def of_kind(run, kind):
    return [fact for fact in run.facts() if isinstance(fact, kind)]


def leave(terminal):
    terminal.type("/quit\r")
    assert terminal.end() == 0, terminal.seen


def test_the_word_typed_under_the_card_approves_and_is_in_no_history(waiting):
    with on_terminal(waiting.quay.project, "chat", **QUIET) as terminal:
        terminal.wait_for("Only you can approve")
        terminal.type("yes go ahead\r")
        terminal.wait_for("by design")
        assert of_kind(waiting, WordDrawn) == []
        terminal.type("/approve\r")
        word = terminal.wait_for(PROMPT)[1]
        terminal.type(f"{word}\r")
        terminal.wait_for("Approved on this terminal")
        terminal.type(f"{word}\r")  # by mistake, once more: it is a chat again
        terminal.wait_for("by design[\\s\\S]*by design")
        leave(terminal)
    assert waiting.approved
    typed = (waiting.quay.project / ".pilothouse" / "chat.history").read_text()
    assert "yes go ahead" in typed
    assert word not in typed


def test_a_wrong_word_is_spent_and_the_chat_goes_on(waiting):
    with on_terminal(waiting.quay.project, "chat", **QUIET) as terminal:
        terminal.wait_for("Only you can approve")
        terminal.type("/approve\r")
        terminal.wait_for(PROMPT)
        terminal.type("GONE\r")
        terminal.wait_for("it is spent")
        leave(terminal)
    assert of_kind(waiting, Approved) == []
    assert [fact.matched for fact in of_kind(waiting, WordSpent)] == [False]


def test_leaving_at_the_word_approves_nothing_and_the_chat_goes_on(waiting):
    with on_terminal(waiting.quay.project, "chat", **QUIET) as terminal:
        terminal.wait_for("Only you can approve")
        terminal.type("/approve\r")
        terminal.wait_for(PROMPT)
        terminal.type("\x04")  # the end of the input: the prompt is left
        terminal.wait_for("Nothing was approved")
        leave(terminal)
    assert of_kind(waiting, Approved) == []


def ending_it(asked):
    """Proposes to end the run."""
    if asked.results:
        return Say((text("Say whether it is to be ended."),))
    return Say((call("propose_order", {"do": "abort", "reason": "the person wants it to end"}),))


def test_an_order_of_a_model_waits_for_a_yes_that_is_typed_after_it_was_shown(tmp_path):
    with ModelServer(ending_it) as server:
        run = stored(dock(tmp_path, thinking(server)))
        with on_terminal(run.quay.project, "chat", **QUIET, **with_key()) as terminal:
            terminal.wait_for("Only you can approve")
            # A yes that came too early is a line of the chat, and no answer.
            terminal.type("I have had enough of this one\ry\r")
            terminal.wait_for("Order: end for good")
            terminal.wait_for("Start it")
            assert of_kind(run, Aborted) == []
            terminal.type("n\r")
            terminal.wait_for("Nothing was started")
            terminal.type("I really have had enough of this one\r")
            terminal.wait_for("(Start it[\\s\\S]*){2}")
            terminal.type("y\r")
            terminal.wait_for("is ended for good")
            leave(terminal)
    assert len(of_kind(run, Aborted)) == 1


def test_a_word_that_was_drawn_reaches_no_model(tmp_path):
    with ModelServer(Say((text("As you say."),))) as server:
        run = stored(dock(tmp_path, thinking(server)))
        with on_terminal(run.quay.project, "chat", **QUIET, **with_key()) as terminal:
            terminal.wait_for("Only you can approve")
            terminal.type("tell me about this one\r")
            terminal.wait_for("As you say")
            terminal.type("/approve\r")
            word = terminal.wait_for(PROMPT)[1]
            terminal.type("nonsense\r")
            terminal.wait_for("it is spent")
            terminal.type(f"so was {word} the wrong one\r")
            terminal.wait_for("wrong one[\\s\\S]*You can say")
            terminal.type("tell me more about this one\r")
            terminal.wait_for("As you say[\\s\\S]*As you say")
            leave(terminal)
    assert len(server.asked) == 2
    assert not any(word.encode() in body for body in server.bodies)
    folder = run.quay.project / ".pilothouse"
    assert not any(word in (folder / name).read_text() for name in ("chat.jsonl", "chat.history"))


# --- through a pipe -------------------------------------------------------------------------------------------------


def piped(project, lines, *options, **more):
    return subprocess.run(
        [*PROGRAM, "chat", *options], cwd=project, env=environment(**more), input=lines, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def test_the_lines_of_a_pipe_are_answered_and_approve_nothing(waiting):
    done = piped(waiting.quay.project, "why does it wait?\nwho approved?\n/approve\nyes\n")
    assert done.returncode == 20, done.stdout + done.stderr
    assert "It waits at" in done.stdout
    assert "nobody yet" in done.stdout
    assert "An approval is typed by a person on a terminal" in done.stdout
    assert of_kind(waiting, WordDrawn) == []


def test_a_pipe_confirms_no_order_of_a_model(tmp_path):
    with ModelServer(ending_it) as server:
        run = stored(dock(tmp_path, thinking(server)))
        done = piped(run.quay.project, "I have had enough of this one\ny\nyes\n", **with_key())
        assert done.returncode == 20
        assert "a person confirms it at a terminal" in done.stdout
        assert of_kind(run, Aborted) == []


@pytest.mark.parametrize(
    ("lines", "code"), [("where are we\n", 0), ("sing a song\n", 2), ("/abort r-9 no\n", 2), ("", 0)]
)
def test_the_exit_code_of_a_pipe_is_that_of_its_last_failure(waiting, lines, code):
    done = piped(waiting.quay.project, lines)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_one_answer_in_json_is_not_to_be_had(waiting):
    done = piped(waiting.quay.project, "where are we\n", "--json")
    assert done.returncode == 2
    assert '"reason_code": "usage"' in done.stdout
