"""Approving is for a person on a terminal: a pipe cannot, the word is on the terminal alone, and it is compared exactly."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.sample import PROGRAM, environment, lately, pilothouse, project
from render import story

PATIENCE = 30.0


class Terminal:
    """A terminal with our program in it, and a person's eyes and fingers."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.seen = ""
        self._master = master

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read until the pattern is on the screen."""
        oldest = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < oldest, self.seen
            self._read(0.2)
        return found

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Read on until the program ends; its exit code."""
        oldest = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < oldest, self.seen
            self._read(0.1)
        self._read(0.1)
        return self.process.returncode

    def _read(self, seconds: float) -> None:
        if select.select([self._master], [], [], seconds)[0]:
            try:
                self.seen += os.read(self._master, 65536).decode(errors="replace")
            except OSError:  # the other end is closed: the program has ended
                return


@contextmanager
def on_terminal(folder: Path, *words: str) -> Iterator[Terminal]:
    """The program in a terminal of its own."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *words], cwd=folder, env=environment(TERM="xterm", NO_COLOR="1"), stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    return project(tmp_path / "p", story.waiting(lately()))


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
