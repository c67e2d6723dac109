"""Asking the person at the client for their word, where policy on the base branch allows that (APR-6).

The client shows the card and the word to its person, and hands back what they typed; the model sees neither. Who typed
is only as sure as the client is honest, so such an approval says ``elicited`` and counts where policy says so, over
standard input and output alone: there the client runs as the account whose approval it would be.

Whatever goes wrong on the way (declined, cancelled, no capability, an error) leaves the checkpoint as it was.
"""

# No `from __future__ import annotations` here: the SDK reads the annotations of the functions within `approval_tool`.

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import anyio.to_thread
from mcp.server.mcpserver import AcceptedElicitation, Context, DeclinedElicitation, Elicit, ElicitationResult, Resolve
from pydantic import BaseModel, Field

from pilothouse.errors import RequestRefused, RunEnded
from pilothouse.guard.approval import ABORT, WORD_LIFE
from pilothouse.guard.clearance import ELICITED, clearance_of
from pilothouse.guard.state import RunState
from pilothouse.mcp.answers import Approval
from pilothouse.render.course import open_checkpoint

_DRAWN = 60.0  # seconds in which a word is drawn: the base branch is read first


class Entry(BaseModel):
    """What the person types."""

    word: str = Field(title="The word", description=f"exactly as it is shown; {ABORT} ends the run")


@dataclass(frozen=True, slots=True)
class NotAsked:
    """Why the person was not asked."""

    why: str


class _LeftError(Exception):
    """The prompt was left: the word is spent, and nothing was approved."""


@dataclass(slots=True)
class Asking:
    """One approval that is being asked for, in a thread that holds the word; it is nowhere else.

    Args:
        begin: approves with what it is given to ask with, and tells how the run is then.
    """

    begin: Callable[[Callable[[str, str], str]], RunState]
    question: str = field(default="", repr=False)
    state: RunState | None = None
    error: Exception | None = None
    _entered: str | None = field(default=None, repr=False)
    _shown: threading.Event = field(default_factory=threading.Event)
    _answered: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> str:
        """Begin; what the person is to be shown, or an empty string where it is over before that (see ``error``)."""
        threading.Thread(target=self._run, daemon=True).start()
        self._shown.wait(_DRAWN)
        return self.question

    def answer(self, entered: str | None) -> None:
        """Hand over what was entered, or None: the prompt was left. Returns once the outcome is recorded."""
        self._entered = entered
        self._answered.set()
        self._over.wait(_DRAWN)
        self.question = ""

    def _run(self) -> None:
        try:
            self.state = self.begin(self._asked)
        except Exception as error:  # noqa: BLE001 - it is told where the answer is waited for
            self.error = error
        finally:
            self._shown.set()
            self._over.set()

    def _asked(self, card: str, word: str) -> str:
        # Random, so that nobody can make it stand anywhere else; typed back by the person, through the client.
        self.question = f"{card}\n\n{ABORT} ends the run. To approve, type the word {word}"
        self._shown.set()
        self._answered.wait(WORD_LIFE.total_seconds())
        if self._entered is None:
            raise _LeftError
        return self._entered


@dataclass(slots=True)
class Askings:
    """What is being asked now, by run: at most one each.

    Args:
        find: the run that is meant.
        begin: approves a run with what it is given to ask with.
        tell: what a run's checkpoint asks, with what became of asking, and why.
        set_going: lets the run go on, once it is approved.
    """

    find: Callable[[str], RunState]
    begin: Callable[[str, Callable[[str, str], str]], RunState]
    tell: Callable[[str, str, str], Approval]
    set_going: Callable[[str], None]
    _known: dict[str, Asking] = field(default_factory=dict)

    def question(self, run: str, *, again: bool) -> str | NotAsked:
        """What the person is to be shown; the same as before where the client comes back with their answer."""
        state = self.find(run)
        known = self._known.get(state.run)
        if again:
            return known.question if known and known.question else NotAsked("the word is void by now: ask again")
        if known is not None:
            self._leave(state.run)
        name = open_checkpoint(state)
        opened = state.checkpoints[name].opened if name else None
        if opened is None:
            return NotAsked("nothing waits for an approval")
        cleared = clearance_of(opened.basis)
        if cleared is None or ELICITED not in cleared.authentications:
            return NotAsked("policy on the base branch does not take approvals through a client (policy.elicitation)")
        known = self._known[state.run] = Asking(lambda ask: self.begin(state.run, ask))
        question = known.ask()
        if question:
            return question
        del self._known[state.run]
        return NotAsked(str(known.error or "no word could be drawn"))

    def answered(self, run: str, entered: str | None, how: str) -> Approval:
        """Record what the person typed, or that they did not; how that is told."""
        name = self.find(run).run
        known = self._known.pop(name, None)
        if known is None:
            return self.tell(name, "no", "the word is void by now: ask again")
        known.answer(entered)
        if entered is None:
            return self.tell(name, how, "nothing was approved; the word is spent")
        if known.state is None:
            told = known.error if isinstance(known.error, RequestRefused) else None
            ended = "the run is over" if isinstance(known.error, RunEnded) else "nothing was approved"
            return self.tell(name, "refused", f"{ended}: {told.message}" if told else f"{ended}; see the ledger")
        if not open_checkpoint(known.state):
            self.set_going(name)
        return self.tell(name, "approved", "the person approved through this client")

    def leave(self) -> None:
        """Leave every prompt: whoever was to answer has failed."""
        for run in list(self._known):
            self._leave(run)

    def _leave(self, run: str) -> None:
        known = self._known.pop(run, None)
        if known is not None:
            known.answer(None)


def approval_tool(askings: Askings) -> Callable[..., object]:
    """The tool ``request_approval`` over what is being asked."""

    async def ask_person(run: str, ctx: Context) -> Elicit[Entry] | NotAsked:
        """The question for the person, where policy, client and transport allow it."""
        if ctx.headers is not None:
            return NotAsked("over HTTP the server cannot know whose client it is")
        if not _can(ctx):
            return NotAsked("this client cannot ask its person")
        again = ctx.input_responses is not None
        found = await anyio.to_thread.run_sync(lambda: askings.question(run, again=again))
        return found if isinstance(found, NotAsked) else Elicit(found, Entry)

    async def request_approval(
        said: Annotated[ElicitationResult[Entry], Resolve(ask_person)],
        run: Annotated[str, Field(max_length=100, description="the run's id; default: the one that is open")] = "",
    ) -> Approval:
        """What a person must do at a checkpoint. It approves nothing: a person does, in a terminal of their own.

        Where policy allows it and the client can, the client asks its person itself; you never see the word.
        """
        match said:
            case AcceptedElicitation(data=NotAsked(why=why)):
                return await anyio.to_thread.run_sync(lambda: askings.tell(run, "no", why))
            case AcceptedElicitation(data=entry):
                return await anyio.to_thread.run_sync(lambda: askings.answered(run, entry.word, "approved"))
            case DeclinedElicitation():
                return await anyio.to_thread.run_sync(lambda: askings.answered(run, None, "declined"))
            case _:
                return await anyio.to_thread.run_sync(lambda: askings.answered(run, None, "cancelled"))

    return request_approval


def _can(ctx: Context) -> bool:
    """Whether the client can show a form; bare ``elicitation: {}`` means that it can."""
    known = ctx.client_capabilities
    asks = known.elicitation if known else None
    return asks is not None and (asks.form is not None or asks.url is None)
