"""One chat: a line in, lines out, and what the host must do that only a host can (ask a person, leave, clear)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse import config, intent, requested
from pilothouse.app import Pilothouse, os_user
from pilothouse.chat import answers, commands, orders, questions, releases
from pilothouse.chat.answers import sentences, told
from pilothouse.chat.completion import Known
from pilothouse.chat.questions import About
from pilothouse.chat.thinker import Thinker
from pilothouse.chat.wants import Confirm, Want
from pilothouse.chat.watching import Watching
from pilothouse.conductors import Conductors
from pilothouse.errors import NothingToDo, PilothouseError, RequestRefused, UsageError
from pilothouse.playbook.find import list_workflows
from pilothouse.render.course import open_checkpoint
from pilothouse.render.screen import Line, Tone
from pilothouse.render.text import safe
from pilothouse.workspace import Request

if TYPE_CHECKING:
    from pilothouse.chat.orders import Order
    from pilothouse.guard.state import RunState

CHANNEL = "chat"
_PATIENCE = 20.0  # seconds that a rehearsal is waited for before it goes on in the background
HOW_TO_APPROVE = "I can't take that as an approval, by design."


def _quiet(_text: str) -> None:
    """Nobody reads along."""


@dataclass(slots=True)
class Heard:
    """What came of a line: lines to be shown, and what the host is to do; ``code`` is the exit code it stands for."""

    lines: list[Line]
    want: Want | None = None
    code: int = 0


@dataclass(slots=True)
class Session:
    """A chat about one project.

    Args:
        project: its folder.
        environ: for the facade, the conductors and the model's client.
        width: of the terminal, now.
        show: writes lines at once, while an answer is being made.
        notice: shows in a few words what takes a while.
    """

    project: Path
    environ: Mapping[str, str]
    width: Callable[[], int]
    show: Callable[[Iterable[Line]], None]
    notice: Callable[[str], None] = _quiet
    talked_of: str = ""
    run: str = ""
    app: Pilothouse = field(init=False)
    conductors: Conductors = field(init=False)
    watching: Watching = field(init=False)
    thinker: Thinker = field(init=False)
    followed: str = ""  # the run that was set going last

    def __post_init__(self) -> None:
        self.app = Pilothouse(self.project, environ=self.environ)
        self.conductors = Conductors(self.project, dict(self.environ))
        self.watching = Watching(self.app, self.conductors, self.width)
        self.thinker = Thinker(self)

    def close(self) -> None:
        """Give back what is held; runs go on."""
        self.watching.close()
        self.thinker.close()
        self.app.close()

    # --- a line -------------------------------------------------------------------------------------------------

    def hear(self, text: str) -> Heard:
        """Answer a line. What a person may not do, or got wrong, is part of the answer; only bugs are raised."""
        text = text.strip()
        if not text:
            return Heard([])
        try:
            if text.startswith("/") and (command := commands.of(text)) is not None:
                return command(self, text)
            return self._understood(text)
        except PilothouseError as error:
            return Heard(self.complaint(error), code=error.exit_code)

    def complaint(self, error: PilothouseError) -> list[Line]:
        """Why something was not done, and what to do."""
        width = self.width()
        said = safe(error.message, 600)
        calm = isinstance(error, NothingToDo)  # an answer like any other
        lines = told(sentences(said[:1].upper() + said[1:]), width, Tone.PLAIN if calm else Tone.BAD)
        if error.hint:
            lines += told(f"→ {safe(error.hint, 400)}", width, Tone.DIM)
        return lines

    def _understood(self, text: str) -> Heard:
        self._notice_names(text)
        heard = self._parsed(text)
        if isinstance(heard, intent.Intent):
            self.talked_of = heard.product
            if heard.dry_run:
                return Heard(self.plan(requested.from_intent(heard)))
            return Heard(self.begin(orders.of_request(requested.from_intent(heard))))
        approval = isinstance(heard, intent.Unknown) and heard.reason_code == "approval"
        if approval or questions.means_approval(text):
            return Heard(self.how_to_approve())
        if isinstance(heard, intent.Later):
            return Heard(told("That waits for an event; nothing was started. What starts by itself stands in "
                              "pilothouse.yml, under events and schedules.", self.width()))  # fmt: skip
        thought = self.thinker.answer(text)
        if thought is not None and not thought.failed:
            return Heard(thought.lines, Confirm(thought.order) if thought.order else None)
        note = thought.lines if thought is not None else []
        return self._by_code(text, heard, note)

    def _by_code(self, text: str, heard: intent.Answer, note: list[Line]) -> Heard:
        """The answer where no model gives one."""
        if isinstance(heard, intent.Clarify):
            asked = sentences(heard.question, f"One of: {', '.join(heard.choices)}")
            return Heard([*note, *told(asked, self.width())], code=UsageError.exit_code)
        about = questions.about(text)
        if about is not None:
            return Heard([*note, *self.about(about, text)])
        assert isinstance(heard, intent.Unknown)
        examples = "; ".join((*heard.choices[:2], "what is in the next release?", "where are we?", "/help"))
        lines = told(sentences(heard.message, f"You can say: {examples}"), self.width())
        return Heard([*note, *lines], code=UsageError.exit_code)

    def _parsed(self, text: str) -> intent.Answer:
        configuration = config.load(self.project)
        return intent.parse(
            text, self.products(), workflows=tuple(item.name for item in list_workflows(self.project)),
            default_workflow=configuration.workflow, default_product=self.talked_of or None,
        )  # fmt: skip

    def _notice_names(self, text: str) -> None:
        """Remember of which product and run is talked: "ship it" means that one."""
        run = questions.run_in(text)
        if run:
            self.run = run
        self.talked_of = questions.product_in(text, self.products()) or self.talked_of

    # --- orders -------------------------------------------------------------------------------------------------

    def begin(self, order: Order) -> list[Line]:
        """Carry out an order that the person gave, or confirmed. Raises PilothouseError."""
        match order.do:
            case "status":
                return answers.whole(self.app, self.app.find(order.run), self.width())
            case "resume":
                return self._resumed(order.run)
            case "abort":
                state = self.app.abort(self.app.find(order.run).run, os_user(CHANNEL), order.reason)
                return told(f"{state.run} is ended for good. What it had done stays done.", self.width())
            case _:
                assert order.request is not None
                return self._started(order, order.request)

    def _started(self, order: Order, request: Request) -> list[Line]:
        what = orders.in_words(order, config.load(self.project).workflow)
        run = self.app.start(request, os_user(CHANNEL))
        self._set_going(run)
        self.talked_of = self.app.find(run).started.product
        lines = told(f"Order: {what}.", self.width(), Tone.DIM)
        return [*lines, *told(f"Started {run}. I tell you as it goes, and when it wants you; ask me meanwhile.",
                              self.width())]  # fmt: skip

    def _resumed(self, run: str) -> list[Line]:
        state = self.app.find(run or self.run_meant())
        if state.halted and not state.over:
            raise RequestRefused(
                "needs-a-person", f"{state.run} halted: a person must look before anything moves",
                answers.commanded(state),
            )  # fmt: skip
        if not self.conductors.at_work(self.app, state):
            self.app.resume(state.run, os_user(CHANNEL))
        self._set_going(state.run)
        return told(f"Going on with {state.run}.", self.width())

    def _set_going(self, run: str) -> None:
        self.run = self.followed = run
        self.conductors.set_going(run)
        self.watching.follow(run, ours=True)

    def approved(self, run: str) -> None:
        """The host has asked for the word, and it was right: go on."""
        self._set_going(run)

    def how_to_approve(self) -> list[Line]:
        """What is said to a yes in prose."""
        waits = any(open_checkpoint(state) for state in self.app.runs())
        how = "Type /approve, read the card, type the word it shows" if waits else "Nothing waits for an approval now"
        return told(sentences(HOW_TO_APPROVE, how), self.width())

    # --- questions ----------------------------------------------------------------------------------------------

    def about(self, about: About, text: str) -> list[Line]:
        """The answer to a question that code can answer."""
        width = self.width()
        match about:
            case About.HELP:
                return commands.help_lines(width)
            case About.PRODUCTS:
                return self.product_lines()
            case About.RUNS:
                return list(answers.runs(self.app.runs(), width))
            case About.NEXT:
                return self._checked(Request(self.product_meant(), dry_run=True), releases.next_release)
            case About.LIVE:
                return releases.live(self.app, self.product_meant(), width)
            case About.HELD:
                product = self.product_meant()
                return answers.blocks(self.thinker.held(product).blocks, product, width)
            case About.APPROVED:
                return answers.approved(self.app, self._run_asked(text), width)
            case About.WHY:
                state = self._run_asked(text)
                return answers.why(self.app, state, width, at_work=self.at_work(state))
            case About.STATUS:
                state = self._run_asked(text)
                return answers.where(self.app, state, width, at_work=self.at_work(state))

    def plan(self, request: Request) -> list[Line]:
        """Every check and the whole plan; nothing is changed."""
        return self._checked(Request(request.product, request.workflow, request.version, request.inputs, dry_run=True),
                             releases.plan)  # fmt: skip

    def rehearse(self, request: Request) -> tuple[RunState, list[str]]:
        """A rehearsal: every check and the whole plan, without an effect. Raises PilothouseError."""
        return self.app.rehearse(request, os_user(CHANNEL))

    def _checked(self, request: Request, tell: Callable[[RunState, list[str], int], list[Line]]) -> list[Line]:
        """What a rehearsal tells; one that takes long goes on in the background, and is told when it is there."""
        self.notice("checking; nothing is changed")
        _ = self.app.journal  # opened in this thread, once, and not in both
        found: list[Line] = []
        one, over = threading.Lock(), threading.Event()
        late = False

        def work() -> None:
            try:
                state, problems = self.rehearse(request)
                found.extend(tell(state, problems, self.width()))
            except PilothouseError as error:
                found.extend(self.complaint(error))
            with one:
                over.set()
                if late:
                    self.watching.lines.extend(found)

        threading.Thread(target=work, daemon=True, name="chat-rehearsal").start()
        over.wait(_PATIENCE)
        with one:
            if over.is_set():
                return found
            late = True
        return told("The checks are still running; I tell you what they say.", self.width())

    def product_lines(self) -> list[Line]:
        """What can be shipped from here."""
        configuration = config.load(self.project)
        width = self.width()
        return [part for item in configuration.products.values()
                for part in told(f"{item.name}: {', '.join(sorted(item.environments))}", width)]  # fmt: skip

    # --- what is meant ------------------------------------------------------------------------------------------

    def products(self) -> tuple[str, ...]:
        """The products of pilothouse.yml."""
        return tuple(config.load(self.project).products)

    def product_meant(self, named: str = "") -> str:
        """The product that is named, or talked of, or the only one. Raises UsageError."""
        products = self.products()
        wanted = named or self.talked_of or (products[0] if len(products) == 1 else "")
        if not wanted:
            raise UsageError("which-product", f"Which product? There are: {', '.join(products)}")
        if wanted not in products:
            raise UsageError("unknown-product", f"There is no product {safe(wanted, 40)!r}", ", ".join(products))
        self.talked_of = wanted
        return wanted

    def run_meant(self) -> str:
        """The run that is talked of, where it is not over; else whichever the facade takes."""
        if self.run and any(state.run == self.run and not state.over for state in self.app.runs()):
            return self.run
        return ""

    def _run_asked(self, text: str) -> RunState:
        """The run that a question is about: named, of a named product, talked of, open, or the latest."""
        named = questions.run_in(text)
        if named:
            return self.app.find(named)
        product = questions.product_in(text, self.products())
        if product and (of_it := self.app.runs(product)):
            return next((state for state in of_it if not state.over), of_it[-1])
        return self.app.find(self.run_meant())

    def at_work(self, state: RunState) -> bool:
        """Whether anybody is at work on a run."""
        return not state.over and self.conductors.at_work(self.app, state)

    def known(self) -> Known:
        """The names that the tab key completes."""
        from pilothouse import reasons

        runs = self.app.runs()
        latest = [state.run for state in reversed(runs)]
        going = [state.run for state in reversed(runs) if not state.over]
        flows = tuple(item.name for item in list_workflows(self.project))
        return Known(self.products(), going, latest, tuple(reasons.collect()), flows)
