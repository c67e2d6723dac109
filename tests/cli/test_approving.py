"""Approving is for a person on a terminal: a pipe cannot, the word is on the terminal alone, and it is compared exactly."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from approvals.quay import CEO, Quay, key, policy
from approvals.terminals import ACCOUNT, environment, on_terminal, stored
from cli.sample import Answer
from cli.sample import pilothouse as called
from pilothouse.cli import deciding
from pilothouse.cli.surface import Surface
from pilothouse.errors import RequestRefused
from pilothouse.events import CardVoided
from pilothouse.render.screen import Screen
from render import story


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    mine = policy({**CEO, "accounts": [ACCOUNT]})
    return stored(Quay.build(tmp_path, mine), run=story.RUN, card=story.CARD).quay.project


def pilothouse(*words: str, cwd: Path, stdin: str = "") -> Answer:
    return called(*words, cwd=cwd, stdin=stdin, env=environment())


def everything_written(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def kinds(folder: Path) -> list[str]:
    return [event["kind"] for event in pilothouse("audit", "show", "--json", cwd=folder).json["events"]]


@pytest.mark.parametrize("words", [["approve"], ["approve", "--json"], ["demo", "--ask", "--json"]])
def test_a_pipe_cannot_approve_and_draws_no_word(waiting: Path, words: list[str]) -> None:
    answer = pilothouse(*words, cwd=waiting, stdin="LAUNCH\n")
    assert answer.code == 20
    assert "approval-needs-a-terminal" in answer.out + answer.err
    assert "WordDrawn" not in kinds(waiting)


def test_the_right_word_typed_exactly_approves(waiting: Path) -> None:
    with on_terminal(waiting, "approve", "--detach") as terminal:
        word = terminal.wait_for(r"type the word ([A-Z]+): ")[1]
        assert "Approving does this, and nothing else:" in terminal.seen
        assert word.encode() not in everything_written(waiting).replace(b"APPROVE RUN", b"").replace(
            story.CARD.encode(), b""
        )
        terminal.type(f"{word}\r")
        assert terminal.end() == 0
    assert kinds(waiting)[-3:] == ["WordDrawn", "WordSpent", "Approved"]


@pytest.mark.parametrize(
    "spoil", [str.lower, "{} ".format, " {}".format, lambda word: ""], ids=["lower", "after", "before", "empty"]
)
def test_anything_but_the_word_is_spent_and_approves_nothing(waiting: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    with on_terminal(waiting, "approve") as terminal:
        word = terminal.wait_for(r"type the word ([A-Z]+): ")[1]
        terminal.type(f"{spoil(word)}\r")
        assert terminal.end() == 20
    assert "Approved" not in kinds(waiting)
    assert kinds(waiting)[-1] == "WordSpent"


def test_abort_at_the_prompt_ends_the_run(waiting: Path) -> None:
    with on_terminal(waiting, "approve") as terminal:
        terminal.wait_for(r"type the word ([A-Z]+): ")
        terminal.type("ABORT\r")
        terminal.end()
    assert pilothouse("status", "--json", cwd=waiting).json["runs"][0]["state"] == "aborted"


def test_leaving_the_prompt_approves_nothing(waiting: Path) -> None:
    with on_terminal(waiting, "approve") as terminal:
        terminal.wait_for(r"type the word ([A-Z]+): ")
        terminal.process.send_signal(2)
        assert terminal.end() == 10
        assert "Nothing was approved. The word is spent, and" in terminal.seen
        assert f"Ask for a new word: pilothouse approve {story.RUN}" in terminal.seen
        assert "Traceback" not in terminal.seen
    assert "Approved" not in kinds(waiting)
    assert pilothouse("status", "--json", cwd=waiting).json["runs"][0]["state"] == "waiting"


def test_the_end_of_the_input_is_no_entry(waiting: Path) -> None:
    with on_terminal(waiting, "approve") as terminal:
        terminal.wait_for(r"type the word ([A-Z]+): ")
        terminal.type("\x04")
        assert terminal.end() == 10
        assert "Nothing was approved." in terminal.seen
    assert "Approved" not in kinds(waiting)


def test_leaving_the_prompt_is_no_wrong_entry_however_often(waiting: Path) -> None:
    for _ in range(4):
        with on_terminal(waiting, "approve") as terminal:
            terminal.wait_for(r"type the word ([A-Z]+): ")
            terminal.process.send_signal(2)
            assert terminal.end() == 10
    assert pilothouse("status", "--json", cwd=waiting).json["runs"][0]["state"] == "waiting"


def test_an_empty_line_is_a_wrong_entry(waiting: Path) -> None:
    for _ in range(3):
        with on_terminal(waiting, "approve") as terminal:
            terminal.wait_for(r"type the word ([A-Z]+): ")
            terminal.type("\r")
            terminal.end()
    assert pilothouse("status", "--json", cwd=waiting).json["runs"][0]["state"] == "aborted"


def test_what_was_typed_before_the_word_was_shown_is_no_entry(waiting: Path) -> None:
    with on_terminal(waiting, "approve") as terminal:
        terminal.type("SHIP\rDEPLOY\rGO\r")
        word = terminal.wait_for(r"type the word ([A-Z]+): ").group(1)
        terminal.type(word + "\r")
        terminal.wait_for("Approved on this terminal")
        terminal.end()
    assert kinds(waiting).count("WordSpent") == 1


def test_what_is_signed_is_the_card_that_was_shown_and_no_later_one(tmp_path: Path) -> None:
    private, public = key(tmp_path, "ann")
    run = Quay.build(tmp_path, policy({**CEO, "ssh_key": public})).waiting()
    state, shown = run.app.find(run.run), run.card

    class Slow(Surface):
        """While the card is read, another one takes its place."""

        def out(self) -> Screen:
            if run.card is shown:
                run.tell(CardVoided("go", shown.approval_digest, ("main moved",)))
                run.open(card="another card")
            return Screen.on(io.StringIO())

    with pytest.raises(RequestRefused) as refused:
        deciding._signed(Slow(), run.app, state, deciding.Signing(str(private), approver="ceo"), detach=True)
    assert refused.value.reason_code == "bad-signature"
    assert run.approvals() == []
    assert run.state.checkpoints["go"].opened == run.card != shown
