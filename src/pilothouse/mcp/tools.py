"""The tools. Each answers within seconds; what takes longer goes on in the background and is asked for again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context
from pydantic import Field

from pilothouse import requested
from pilothouse.app import Pilothouse, os_user
from pilothouse.conductors import Conductors
from pilothouse.errors import RequestRefused, UsageError
from pilothouse.guard.clearance import ELICITED
from pilothouse.mcp.answers import Approval, Next, Plan, Run, Trouble, approval_of, plan_of, run_of, settled
from pilothouse.mcp.eliciting import Askings, approval_tool
from pilothouse.mcp.rehearsals import Rehearsals
from pilothouse.render.course import state_name
from pilothouse.render.text import safe

if TYPE_CHECKING:
    from pilothouse.guard.state import RunState
    from pilothouse.workspace import Request

CHANNEL = "mcp"
_LINGER = 3.0  # seconds that a start or resume is looked at before it is told
_PLAN = 20.0  # seconds that a rehearsal is waited for
_LOOK = 0.3  # seconds between two looks at the ledger
_T = TypeVar("_T")

Product = Annotated[str, Field(max_length=100, description="which product; may be left out where there is only one")]
Workflow = Annotated[str, Field(max_length=100, description="default: the project's; rollback goes back")]
Version = Annotated[str, Field(max_length=60, description="X.Y.Z, major, minor or patch; default: from the changes")]
Severity = Annotated[str, Field(max_length=20, description="of a rollback: critical, high, medium or low")]
Reason = Annotated[str, Field(max_length=500, description="of a rollback: why; it goes on the record")]
Words = Annotated[
    str, Field(max_length=400, description="instead of all others: the person's own words, e.g. 'ship acme'")
]
WhichRun = Annotated[str, Field(max_length=100, description="the run's id; default: the one that is open")]
Wait = Annotated[int, Field(ge=0, le=20, description="wait this long, at most, for something to happen")]


class Tools:
    """The tools of one project.

    Args:
        project: its folder.
        environ: the environment for the facade and for the conductors that are set going.
    """

    def __init__(self, project: Path, environ: Mapping[str, str]) -> None:
        self.project = project
        self.environ = dict(environ)
        self.conductors = Conductors(project, self.environ)
        self.rehearsals = Rehearsals(self._rehearse)
        self.askings = Askings(self._find, self._approve, self._approval, self.conductors.set_going)
        self.request_approval = approval_tool(self.askings)

    @contextmanager
    def opened(self) -> Iterator[Pilothouse]:
        """The facade, for one look or one word."""
        app = Pilothouse(self.project, environ=self.environ)
        try:
            yield app
        finally:
            app.close()

    # --- the tools ----------------------------------------------------------------------------------------------

    async def release_plan(
        self, ctx: Context, product: Product = "", workflow: Workflow = "", version: Version = "",
        severity: Severity = "", reason: Reason = "", words: Words = "",
    ) -> Plan:  # fmt: skip
        """Rehearse a release or rollback: every check and the whole plan with its digest. Changes nothing.

        Where checks take long the answer is state=checking: call again with the same arguments.
        """
        request = await _thread(lambda: self._request(product, workflow, version, severity, reason, words))
        request = replace(request, dry_run=True)  # this tool rehearses, whatever the words ask for
        begun, plan = time.monotonic(), None
        while plan is None and time.monotonic() - begun < _PLAN:
            plan = await _thread(lambda: self.rehearsals.ask(request, 2.0))
            if plan is None:
                await ctx.report_progress(time.monotonic() - begun, message="checking; nothing is changed")
        again = Next(who="agent", what="Checks are still running; call again.", tool="release_plan")
        return plan or Plan(
            state="checking",
            next_action=again,
            product=safe(request.product, 100),
            workflow=safe(request.workflow, 100),
        )

    async def release_start(
        self, ctx: Context, product: Product = "", workflow: Workflow = "", version: Version = "",
        severity: Severity = "", reason: Reason = "", words: Words = "",
    ) -> Run:  # fmt: skip
        """Start a release or rollback; it goes on in the background, and stops where a person must approve."""

        def started() -> str:
            request = self._request(product, workflow, version, severity, reason, words)
            if request.dry_run:
                raise UsageError("usage", "the words ask for a rehearsal", "call release_plan")
            with self.opened() as app:
                run = app.start(request, os_user(CHANNEL))
            self.conductors.set_going(run)
            return run

        return await self._followed(ctx, await _thread(started), _LINGER)

    async def release_status(self, ctx: Context, run: WhichRun = "", wait_seconds: Wait = 0) -> Run:
        """Where a run stands, and what to do next. Changes nothing."""
        return await self._followed(ctx, run, float(wait_seconds))

    async def release_resume(self, ctx: Context, run: WhichRun = "") -> Run:
        """Go on with a run that rests, waits or was left by its conductor; nothing is done twice.

        What a person must decide (a hold, a halt, a freeze, a checkpoint) stays with a person.
        """

        def resumed() -> str:
            with self.opened() as app:
                state = app.find(run)
                if state.halted and not state.over:
                    raise RequestRefused(
                        "needs-a-person", f"{state.run} halted: a person must look before anything moves",
                        f"a person goes on in a terminal: pilothouse resume {state.run}",
                    )  # fmt: skip
                if not self.conductors.at_work(app, state):
                    app.resume(state.run, os_user(CHANNEL))
                    self.conductors.set_going(state.run)
                return state.run

        return await self._followed(ctx, await _thread(resumed), _LINGER)

    async def release_abort(
        self,
        run: Annotated[str, Field(min_length=1, max_length=100, description="the run's id; never guessed")],
        reason: Annotated[str, Field(min_length=1, max_length=500, description="why; it goes on the record")],
    ) -> Run:
        """End a run for good. What it has done stays done; an open act still gets its outcome."""

        def aborted() -> Run:
            with self.opened() as app:
                app.abort(run, os_user(CHANNEL), reason)
                return self._told(app, run)

        return await _thread(aborted)

    # --- under them ---------------------------------------------------------------------------------------------

    def _request(self, product: str, workflow: str, version: str, severity: str, reason: str, words: str) -> Request:
        if not words:
            return requested.from_arguments(product, workflow, version, severity, reason)
        if any((product, workflow, version, severity, reason)):
            raise UsageError("usage", "words and other arguments exclude each other", "use one or the other")
        with self.opened() as app:
            return requested.from_words(app, words)

    def _rehearse(self, request: Request) -> Plan:
        with self.opened() as app:
            state, problems = app.rehearse(request, os_user(CHANNEL))
            return plan_of(state, problems, _notes(app, state))

    async def _followed(self, ctx: Context, run: str, seconds: float) -> Run:
        """A run once it goes no further by waiting, or after so many seconds; each step on the way is progress."""
        until, told_of = time.monotonic() + seconds, -1
        while True:
            told = await _thread(partial(self._look, run))
            run = told.run
            if told.steps_done > told_of:
                told_of = told.steps_done
                await ctx.report_progress(told.steps_done, told.steps_total, f"{told.state}: {told.step or 'over'}")
            if settled(told) or time.monotonic() >= until:
                return told
            await anyio.sleep(_LOOK)

    def _find(self, run: str) -> RunState:
        with self.opened() as app:
            return app.find(run)

    def _approve(self, run: str, ask: Callable[[str, str], str]) -> RunState:
        """A person's approval through their client; ``ask`` waits for what they type. Nothing else here approves."""
        with self.opened() as app:
            return app.approve(run, replace(os_user(CHANNEL), authentication=ELICITED), ask)

    def _approval(self, run: str, asked: str, told: str) -> Approval:
        return approval_of(self._find(run), asked, told)

    def _look(self, run: str) -> Run:
        with self.opened() as app:
            return self._told(app, run)

    def _told(self, app: Pilothouse, run: str) -> Run:
        # Asked first: a conductor that ends in between has then written all that it would.
        state = app.find(run)
        at_work = not state.over and self.conductors.at_work(app, state)
        state = app.find(state.run)
        trouble = None if at_work or state_name(state) != "running" else self.conductors.trouble(state.run)
        told = Trouble(reason_code=trouble.reason_code, message=trouble.message, hint=trouble.hint) if trouble else None
        return run_of(state, at_work=at_work, conductor=told)


def _notes(app: Pilothouse, rehearsed: RunState) -> list[str]:
    """Which run the product has now: a rehearsal may look all the same, the real run may not start."""
    product = rehearsed.started.product
    return [
        f"{state.run} has {product} now ({state_name(state)}); the real run can start once that one is over or rests"
        for state in app.runs(product)
        if not state.over
    ]


async def _thread(call: Callable[[], _T]) -> _T:
    return await anyio.to_thread.run_sync(call)
