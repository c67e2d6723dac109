"""At a real terminal: pipes and files cannot approve, what was typed too early or pasted counts nothing, one of two wins."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from approvals.quay import CEO, Quay, policy
from approvals.terminals import ACCOUNT, PROGRAM, PROMPT, environment, on_terminal, stored
from pilothouse.events import WordDrawn
from pilothouse.guard.approval import WORDS

MINE = {**CEO, "accounts": [ACCOUNT]}


@pytest.fixture
def dock(tmp_path):
    """A run in a ledger on disk that waits for whoever runs these tests."""
    return stored(Quay.build(tmp_path, policy(MINE)))


def test_the_word_typed_at_the_prompt_approves(dock):
    with on_terminal(dock.quay.project, "approve", "--detach") as terminal:
        word = terminal.wait_for(PROMPT)[1]
        terminal.type(f"{word}\r")
        assert terminal.end() == 0, terminal.seen
    assert dock.approved


def every_word():
    return "".join(f"{word}\n" for word in WORDS)


@pytest.mark.parametrize("source", ["pipe", "file", "null", "closed", "output is a file", "json"])
def test_what_is_no_terminal_approves_nothing_and_draws_no_word(dock, tmp_path, source):
    words, command = every_word(), [*PROGRAM, "approve", *(["--json"] if source == "json" else [])]
    given = tmp_path / "words"
    given.write_text(words)
    master, slave = pty.openpty()
    said = tmp_path / "said"
    with given.open() as file, said.open("wb") as out:
        done = subprocess.run(
            command, cwd=dock.quay.project, env=environment(), check=False, timeout=60, stderr=out,
            **{
                "pipe": {"input": words.encode(), "stdout": slave}, "file": {"stdin": file, "stdout": slave},
                "null": {"stdin": subprocess.DEVNULL, "stdout": slave},
                "closed": {"preexec_fn": lambda: os.close(0), "stdout": slave},
                "output is a file": {"stdin": slave, "stdout": out}, "json": {"stdin": slave, "stdout": slave},
            }[source],
        )  # fmt: skip
    os.close(master)
    os.close(slave)
    assert done.returncode == 20, said.read_text()
    assert not any(isinstance(fact, WordDrawn) for fact in dock.facts())
    assert not dock.approved


PASTED = {
    "crlf": "{}\r\n", "two lines": "{}\r{}\r", "a line and more": "{}\rls -l", "bracketed": "\x1b[200~{}\x1b[201~\r",
    "newline first": "\n{}\r", "with its neighbours": " {} \r",
}  # fmt: skip


@pytest.mark.parametrize("how", PASTED)
def test_what_was_pasted_is_not_typed(dock, how):
    with on_terminal(dock.quay.project, "approve", "--detach") as terminal:
        word = terminal.wait_for(PROMPT)[1]
        terminal.type(PASTED[how].replace("{}", word))
        assert terminal.end() == 20, terminal.seen
    assert not dock.approved


def test_what_was_typed_before_the_word_was_shown_is_forgotten(dock):
    with on_terminal(dock.quay.project, "approve", "--detach") as terminal:
        for word in WORDS:
            terminal.type(f"{word}\r")
        word = terminal.wait_for(PROMPT)[1]
        terminal.type(f"{word}\r")
        assert terminal.end() == 0, terminal.seen
    assert len([fact for fact in dock.facts() if isinstance(fact, WordDrawn)]) == 1


def test_of_two_at_once_one_approves(dock):
    with on_terminal(dock.quay.project, "approve", "--detach") as one:
        first = one.wait_for(PROMPT)[1]
        with on_terminal(dock.quay.project, "approve", "--detach") as other:
            second = other.wait_for(PROMPT)[1]
            assert first != second
            one.type(f"{first}\r")
            other.type(f"{second}\r")
            codes = sorted([one.end(), other.end()])
    assert codes == [0, 20], one.seen + other.seen
    assert len(dock.approvals()) == 1


@pytest.mark.parametrize("variable", ["USER", "LOGNAME", "USERNAME", "SUDO_USER"])
def test_a_variable_makes_nobody_an_approver(tmp_path, variable):
    run = stored(Quay.build(tmp_path, policy(CEO)))
    with on_terminal(run.quay.project, "approve", "--detach", **{variable: "carol"}) as terminal:
        assert terminal.end() == 20
        assert f"{ACCOUNT} is no approver" in " ".join(terminal.seen.split())
    assert not any(isinstance(fact, WordDrawn) for fact in run.facts())


def test_a_person_taken_off_the_list_while_the_word_is_on_their_screen_approves_nothing(dock):
    with on_terminal(dock.quay.project, "approve", "--detach") as terminal:
        word = terminal.wait_for(PROMPT)[1]
        dock.quay.push({"pilothouse.yml": policy({**CEO, "accounts": ["carol"]})})
        terminal.type(f"{word}\r")
        assert terminal.end() == 20
    assert not dock.approved
