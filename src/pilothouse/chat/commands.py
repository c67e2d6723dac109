"""The slash commands: exact, and never given to a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pilothouse import reasons
from pilothouse.app import os_user
from pilothouse.chat import answers, orders
from pilothouse.chat.answers import INDENT, told
from pilothouse.chat.completion import COMMANDS
from pilothouse.chat.wants import Approve, Clear, Quit
from pilothouse.errors import UsageError
from pilothouse.render.screen import BLANK, Line, Tone, line, padded
from pilothouse.workspace import Request

if TYPE_CHECKING:
    from pilothouse.chat.session import Heard, Session

_Command = Callable[["Session", str], "Heard"]
CHANNEL = "chat"


def of(text: str) -> _Command | None:
    """The command that a line names; None for what is a workflow's name, or nothing of the chat's."""
    name = text[1:].split(maxsplit=1)[0].lower() if text[1:].strip() else "help"
    return _KNOWN.get(name)


def help_lines(width: int) -> list[Line]:
    """What can be said."""
    lines = told("Say what you want: ship acme · roll it back · what is in the next release? · where are we? · "
                 "why does it wait? · who approved? · what runs in production?", width)  # fmt: skip
    lines.append(BLANK)
    for name, (behind, what) in COMMANDS.items():
        shown = f"/{name} {behind}".rstrip()
        room = " " * INDENT
        if len(shown) > 24:
            lines += [line(room, (shown, Tone.STRONG)), line(room, " " * 25, (what, Tone.DIM))]
        else:
            lines.append(line(room, (padded(shown, 24), Tone.STRONG), " ", (what, Tone.DIM)))
    return [*lines, BLANK, *told("A yes in words approves nothing: a checkpoint is opened by /approve, "
                                 "its card and its word.", width, Tone.DIM)]  # fmt: skip


def _words(text: str) -> list[str]:
    return text.split()[1:]


def _heard(lines: list[Line], want: Quit | Clear | Approve | None = None, code: int = 0) -> Heard:
    from pilothouse.chat.session import Heard

    return Heard(lines, want, code)


def _help(session: Session, _text: str) -> Heard:
    return _heard(help_lines(session.width()))


def _quit(_session: Session, _text: str) -> Heard:
    return _heard([], Quit())


def _clear(session: Session, _text: str) -> Heard:
    session.talked_of = session.run = ""
    session.thinker.forget()
    return _heard([], Clear())


def _status(session: Session, text: str) -> Heard:
    named = _words(text)[:1]
    state = session.app.find(named[0] if named else session.run_meant())
    session.run = state.run
    return _heard(answers.whole(session.app, state, session.width()))


def _runs(session: Session, _text: str) -> Heard:
    return _heard(list(answers.runs(session.app.runs(), session.width())))


def _products(session: Session, _text: str) -> Heard:
    return _heard(session.product_lines())


def _plan(session: Session, text: str) -> Heard:
    named = _words(text)[:1]
    return _heard(session.plan(Request(session.product_meant(named[0] if named else ""), dry_run=True)))


def _explain(session: Session, text: str) -> Heard:
    named = _words(text)[:1]
    if not named:
        raise UsageError("usage", "Which code?", "/explain ci-red")
    found = reasons.find(named[0])
    width = session.width()
    return _heard([*told(f"{found.code} ({found.kind}): {found.means}", width), *told(f"→ {found.advice}", width)])


def _approve(session: Session, text: str) -> Heard:
    """The host does it: what is asked for and typed there comes by here no more."""
    named = _words(text)
    if len(named) > 1:
        raise UsageError("usage", "/approve takes a run and nothing else", "the word is asked for, and typed then")
    state = session.app.find(named[0] if named else session.run_meant())
    session.run = state.run
    return _heard([], Approve(state.run))


def _reject(session: Session, text: str) -> Heard:
    run, reason = _run_and_reason(session, text, "/reject RUN REASON")
    state = session.app.reject(run, os_user(CHANNEL), reason)
    return _heard(told(f"{state.run} is rejected, for good. Nothing was changed in production by it."
                       if not state.production_attempted() else f"{state.run} is rejected, for good.",
                       session.width()))  # fmt: skip


def _abort(session: Session, text: str) -> Heard:
    run, reason = _run_and_reason(session, text, "/abort RUN REASON")
    return _heard(session.begin(orders.Order("abort", run=run, reason=reason)))


def _resume(session: Session, text: str) -> Heard:
    named = _words(text)
    if len(named) > 1:
        raise UsageError("usage", "/resume takes a run and nothing else",
                         "in a shell there is more: pilothouse resume RUN --lift-hold STEP --reason …")  # fmt: skip
    return _heard(session.begin(orders.Order("resume", run=named[0] if named else "")))


def _run_and_reason(session: Session, text: str, form: str) -> tuple[str, str]:
    """A run that is named, or the one that is talked of, and the reason behind it."""
    words = _words(text)
    known = {state.run for state in session.app.runs()}
    run = words[0] if words and words[0] in known else ""
    reason = " ".join(words[1:] if run else words)
    if words and not run and words[0].startswith("r-"):
        session.app.find(words[0])  # says which runs there are
    if not reason:
        raise UsageError("reason-missing", "That goes on the record and needs a reason", form)
    return run or session.app.find(session.run_meant()).run, reason


_KNOWN: dict[str, _Command] = {
    "help": _help, "quit": _quit, "exit": _quit, "clear": _clear, "status": _status, "runs": _runs,
    "products": _products, "plan": _plan, "explain": _explain, "approve": _approve, "reject": _reject, "abort": _abort,
    "resume": _resume,
}  # fmt: skip

__all__ = ["help_lines", "of"]
