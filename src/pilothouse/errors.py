"""What can be broken, as one tree; what is merely refused or waiting is a value of the guard, never an exception.

PilothouseError                 every failure that a person may see: reason code, sentence, hint, exit code
├── UsageError            2     the command line asks for something that does not exist
│   └── InvalidFile       2     a file is not what its schema says: path, line, what was expected
├── NothingToDo           0     the world is as the request wants it already; no failure
├── RequestRefused       20     the request cannot start: busy product, wrong environment
│   └── RunEnded         40     what a person did just now ended the run: ABORT, the third wrong word, an expiry
├── ToolFailed           20     a tool could not do its work; the engine turns it into a Failed or Refused event
│   ├── Unreachable      20     the other side did not answer; what it holds is unknown
│   └── ModelFailed      20     a model gave no whole reply; the scripted agent goes on, or the step waits
└── LedgerError          50     the truth cannot be written or read; nothing may move
    ├── LedgerCorrupt    50     stored bytes do not verify, or are of a newer version
    ├── ImpossibleHistory 50    the events contradict each other
    ├── LedgerUnreachable 50    the remote that holds the ledger does not answer
    ├── ChainMoved       50     somebody appended first (compare-and-swap lost); read again
    └── LeaseLost        50     another conductor holds the product, or this one's lease ran out
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_WAITING = 10
EXIT_REFUSED = 20
EXIT_ROLLED_BACK = 30
EXIT_ABORTED = 40
EXIT_HALTED = 50


class PilothouseError(Exception):
    """A failure with a stable reason code.

    Args:
        reason_code: kebab-case, stable across versions, documented.
        message: one sentence: what happened, with which evidence.
        hint: one sentence: what to do now; empty where there is nothing to do.
    """

    exit_code = EXIT_BUG

    def __init__(self, reason_code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.reason_code = reason_code
        self.message = message
        self.hint = hint


class UsageError(PilothouseError):
    """The caller asked for something that does not exist or does not fit."""

    exit_code = EXIT_USAGE


class InvalidFile(UsageError):
    """A file that people write is not what its schema says.

    Args:
        path: the file as the person knows it.
        line: 1-based line, 0 where the whole file is meant.
        message: what is wrong and what was expected, without the place.
        hint: what to write instead.
    """

    def __init__(self, path: str, line: int, message: str, hint: str = "", reason_code: str = "invalid-file") -> None:
        place = f"{path}:{line}" if line else path
        super().__init__(reason_code, f"{place}: {message}", hint)
        self.path = path
        self.line = line


class NothingToDo(PilothouseError):
    """The world is as the request wants it already: nothing was started, and nothing is wrong."""

    exit_code = EXIT_DONE


class RequestRefused(PilothouseError):
    """The request is well-formed, but may not start now."""

    exit_code = EXIT_REFUSED


class RunEnded(RequestRefused):
    """What was done just now ended the run for good."""

    exit_code = EXIT_ABORTED


class ToolFailed(PilothouseError):
    """A tool could not do its work.

    Args:
        detail: bounded output of the tool for the ledger (already redacted), or empty.
    """

    exit_code = EXIT_REFUSED

    def __init__(self, reason_code: str, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(reason_code, message, hint)
        self.detail = detail


class Unreachable(ToolFailed):
    """The other side did not answer, or only in part; the state it holds is unknown."""


class ModelFailed(ToolFailed):
    """A model gave no whole reply. Nothing that it may have begun to say is used.

    The reason code is one of: ``model-unavailable`` (it did not answer in time, or was cut off: it may later),
    ``model-refused-request`` (it will not answer this request), ``model-context-exceeded`` (the conversation is too
    long for it), ``model-malformed`` (what came is not the protocol), ``model-credentials`` (who asks is not known),
    ``recording-differs`` (a recording was asked something else).
    """


class LedgerError(PilothouseError):
    """The ledger cannot be written or read; nothing may move until it can."""

    exit_code = EXIT_HALTED


class LedgerCorrupt(LedgerError):
    """Stored bytes do not verify, or were written by a newer version."""


class ImpossibleHistory(LedgerError):
    """The events of a run contradict each other (the fold refuses them)."""


class LedgerUnreachable(LedgerError):
    """The remote that holds the ledger (``ledger: git``) does not answer; nothing may move until it does."""


class ChainMoved(LedgerError):
    """Another writer appended first: the compare-and-swap on the chain's head was lost."""


class LeaseLost(LedgerError):
    """Another conductor holds the product, or this conductor's lease has run out."""
