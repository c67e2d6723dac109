"""Make the transcript in docs/chat.md from one real chat in the sandbox: ``make demo`` first, then this.

The program sits at a terminal of its own, a script types, and what stands on the screen at the end goes into the page.
What is another in every world (ports, times, durations, the word, the account) is written as in the other documents.
"""

# ruff: noqa: INP001, T201 - a script, which says what it did
from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import pwd
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = str(ROOT / ".venv" / "bin" / "pilothouse")
PAGE = ROOT / "docs" / "chat.md"
BEGIN, END = "<!-- transcript: made by docs/make_transcript.py -->", "<!-- end of the transcript -->"
WIDTH, PATIENCE = 88, 120.0

# What is typed, and what has to be on the screen before: the last of each is what the person reads.
SCRIPT = (
    ("/help · /quit", "what is in the next release of acme?"),
    ("It would be", "ship it"),
    ("Only you can approve", "yes go ahead"),
    ("by design", "why does it wait?"),
    ("asks.", "/approve"),
    (r"type the word ([A-Z]+):\s*$", "WORD"),
    ("(?m)✔ Production .*", "where are we?"),
    ("wanted of you", "who approved it?"),
    ("is live", "what runs in production?"),
    ("that changed production", "roll it back because prices are wrong"),
    ("Roll back\\?[\\s\\S]*Only you can approve", "/abort it was only a sample"),
    ("ended for good", "/quit"),
)
_CARD = re.compile(r"╭[^╯]*╯")
_CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>]|[\r\n\b]|[^\x1b\r\n\b]+")


class Screen:
    """As much of a terminal as a line editor needs: text, a cursor, and parts that are cleared."""

    def __init__(self) -> None:
        self.rows: list[str] = [""]
        self.row = self.column = 0

    def take(self, text: str) -> None:
        """What a program writes."""
        for found in _CONTROL.finditer(text):
            if found[2]:
                self._move(found[1], found[2])
            elif found[0] == "\r":
                self.column = 0
            elif found[0] == "\n":
                self.row += 1
                self.rows += [""] * (self.row - len(self.rows) + 1)
            elif found[0] == "\b":
                self.column = max(0, self.column - 1)
            elif not found[0].startswith("\x1b"):
                old = self.rows[self.row].ljust(self.column)
                self.rows[self.row] = old[: self.column] + found[0] + old[self.column + len(found[0]) :]
                self.column += len(found[0])

    def _move(self, given: str, what: str) -> None:
        steps = int(given) if given.isdigit() else 1
        match what:
            case "A":
                self.row = max(0, self.row - steps)
            case "B":
                self.row += steps
            case "C":
                self.column += steps
            case "D":
                self.column = max(0, self.column - steps)
            case "J" | "K":
                if given in {"", "0"}:
                    self.rows[self.row] = self.rows[self.row][: self.column]
                    self.rows = self.rows[: self.row + 1] if what == "J" else self.rows
                elif what == "K":
                    self.rows[self.row] = ""
        self.rows += [""] * (self.row - len(self.rows) + 1)

    @property
    def text(self) -> str:
        """What stands there."""
        return "\n".join(row.rstrip() for row in self.rows)


def main() -> int:
    """Build a world, chat in it, and keep what is on the screen."""
    with tempfile.TemporaryDirectory(prefix="pilothouse-transcript-") as folder:
        world = Path(folder) / "world"
        told = json.loads(call("--json", "harbour", "up", str(world), "--detach"))
        try:
            text = talk(Path(told["project"]), {**os.environ, **told["environment"]})
        finally:
            call("--quiet", "harbour", "down", str(world))
    for name, address in told["urls"].items():
        text = text.replace(address, f"https://{'' if name == 'production' else 'staging.'}acme.test")
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n```text\n{settled(text)}\n```\n{END}{after}", encoding="utf-8")
    print("made the transcript in docs/chat.md")
    return 0


def talk(project: Path, environ: dict[str, str]) -> str:
    """Type the script into a chat at a terminal; what stands on the screen when it has ended."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, WIDTH, 0, 0))
    quiet = {"TERM": "xterm", "NO_COLOR": "1", "PROMPT_TOOLKIT_NO_CPR": "1", "TZ": "UTC"}
    process = subprocess.Popen(
        [PROGRAM, "chat"], cwd=project, env={**environ, **quiet}, stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    screen, decode, read_to = Screen(), codecs.getincrementaldecoder("utf-8")("replace"), 0
    for pattern, line in SCRIPT:
        latest = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, screen.text[read_to:])):
            if time.monotonic() > latest:
                sys.exit(f"{pattern!r} did not come:\n{screen.text}")
            _read(master, screen, decode)
        _settle(master, screen, decode)
        read_to = len(screen.text)
        os.write(master, f"{found[1] if line == 'WORD' else line}\r".encode())
    while process.poll() is None:
        _read(master, screen, decode)
    _settle(master, screen, decode)
    os.close(master)
    return screen.text


def _read(master: int, screen: Screen, decode: codecs.IncrementalDecoder) -> bool:
    if not select.select([master], [], [], 0.2)[0]:
        return False
    try:
        more = os.read(master, 65536)
    except OSError:  # the program has ended
        return False
    screen.take(decode.decode(more))
    return bool(more)


def _settle(master: int, screen: Screen, decode: codecs.IncrementalDecoder) -> None:
    """Until nothing more is written for a moment, as a person would wait."""
    while _read(master, screen, decode):
        pass


def settled(text: str) -> str:
    """The same, with what is another in every world written as in the other documents."""
    word = re.search(r"type the word ([A-Z]+)", text)
    text = re.sub(rf"\b{word[1]}\b", "LAUNCH", text) if word else text
    account = pwd.getpwuid(os.getuid()).pw_name
    text = re.sub(rf"(by |account:){re.escape(account)}\b", r"\1ann", text)
    text = re.sub(r"\br-\d{4}-\d\d-\d\d-", "r-2026-11-21-", text)
    text = re.sub(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d\d:\d\d\b", "Tue 09:41", text)
    text = re.sub(r"\b\d\d:\d\d\b", "09:41", text)
    text = re.sub(r"(?<=\s)\d+ (s|min)(?: \d+ s)?( ago| from start to end|$)", _same_width, text, flags=re.MULTILINE)
    text = re.sub(r"p95 \d+ ms vs \d+ ms", "p95 2 ms vs 2 ms", text)
    first, *again = _CARD.findall(text)
    for card in again:
        if card == first:  # the second time it stands there is under /approve, as it was
            head, _, tail = text.rpartition(card)
            text = f"{head} (the same card){tail}"
    return "\n".join(row.rstrip() for row in re.sub(r"\n{3,}", "\n\n", text).strip("\n").splitlines())


def _same_width(found: re.Match[str]) -> str:
    return f"2 s{found[2]}" if found[2] else f"{'2 s':>{len(found[0])}}"


def call(*argv: str) -> str:
    """Run one pilothouse command; what it prints. Raises SystemExit where it fails."""
    done = subprocess.run(
        [PROGRAM, *argv], cwd=ROOT, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"pilothouse {' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
