"""The facade: what a surface may ask for, and the only place where adapters are joined to the engine.

Surfaces (command line, chat, MCP, web) translate into these calls and decide nothing themselves. Slow libraries are
imported by the method that needs them, so that ``status`` and ``--help`` stay quick.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.canonical import sha256_hex
from pilothouse.errors import LeaseLost, PilothouseError, RequestRefused, RunEnded
from pilothouse.folder import FOLDER
from pilothouse.guard.clearance import ACCOUNT
from pilothouse.guard.state import RunState
from pilothouse.model import Person
from pilothouse.workspace import Request, SystemClock, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pilothouse.engine.advance import Standing
    from pilothouse.engine.world import World
    from pilothouse.events import Locked, Validated
    from pilothouse.guard.product import Lock
    from pilothouse.ports import Lease
    from pilothouse.settings import Configuration
    from pilothouse.validating import Ask

__all__ = ["FOLDER", "Pilothouse", "Request", "SystemClock", "os_user"]

LEASE_SECONDS = 30


def os_user(channel: str) -> Person:
    """The operating system's user, as the kernel knows them: a variable of the environment is anybody's to set."""
    return Person(pwd.getpwuid(os.getuid()).pw_name, channel, ACCOUNT)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _host() -> str:
    import socket

    return socket.gethostname()


def _room() -> str:
    """Within which process ids mean what they mean here: this boot of this machine, and this pid namespace.

    Empty where that cannot be told. A container may bear its host's name, and has other processes by the same numbers.
    """
    if sys.platform != "linux":
        return "whole-machine"  # no pid namespaces
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return sha256_hex(f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}".encode())[:12]
    except OSError:
        return ""


class Pilothouse(Workspace):
    """The facade over one project folder."""

    # --- starting -----------------------------------------------------------------------------------------------

    def start(self, request: Request, who: Person) -> str:
        """Start a run; its id. Nothing but the ledger is changed.

        Raises:
            UsageError: unknown product or workflow, invalid files.
            RequestRefused: the product is busy, or there is nothing to roll back.
        """
        from pilothouse import starting
        from pilothouse.stateview import check_state_file

        check_state_file(self)
        return starting.start(self, request, who)

    def rehearse(self, request: Request, who: Person) -> tuple[RunState, list[str]]:
        """Every check and the whole plan, with no effect at all (INT-3).

        Returns:
            The state with its plan, and the reasons why the real run would be refused now.
        """
        from pilothouse import starting

        return starting.rehearse(self, request, who)

    # --- going on -----------------------------------------------------------------------------------------------

    def world(self, state: RunState) -> World:
        """The world of a run that exists: from the bytes that its Started holds, never from what lies about now."""
        from pilothouse.composition import world_of

        return world_of(self, state.run, state.started, state.started_at)

    def advance(self, run: str, world: World | None = None) -> Standing:
        """Go on with a run, once, under the product's lease.

        Raises:
            RequestRefused: another conductor is at work on the product.
            LedgerError: the ledger cannot be read or written.
        """
        from pilothouse.auditing import demand_genuine
        from pilothouse.engine.advance import advance, explain

        state = self.find(run)
        with self._holding(state.started.product) as lease:
            world = world or self.world(state)
            world.lease = lease
            demand_genuine(event for event in self.journal.read(state.started.product) if event.run == run)
            standing = advance(run, world)
        self._render_state_file()
        # Once the lease is given back: a slow service or model holds nobody up.
        self.tell_notices(standing.state)
        explained = explain(standing, world)
        if explained.state.head_seq != standing.state.head_seq:
            self._render_state_file()
        return explained

    def why_scripted(self, run: str) -> str:
        """Why a run's agents are scripted although pilothouse.yml names models; empty where they are not.

        The base branch is asked, as the agents ask it, and only where models are named. Trouble is told, never raised.
        """
        from pilothouse import config
        from pilothouse.render.text import safe

        try:
            state = self.find(run)
            if config.parse(state.started.config_source, "pilothouse.yml").models is None:
                return ""
            thinking = self.world(state).thinking
            if thinking is not None:
                thinking.models()
        except PilothouseError as trouble:
            about = "docs/models.md" if trouble.reason_code == "model-credentials" else trouble.hint
            return f"{safe(trouble.message)}, so every agent is scripted" + (f" ({safe(about)})" if about else "")
        return ""

    def tell_notices(self, state: RunState) -> None:
        """Tell the configured services where a run stands, once each; trouble with them is recorded, never raised."""
        from pilothouse import notices

        notices.tell(self, state)

    def milestones(self, configuration: Configuration, product: str) -> list[tuple[int, str, str]]:
        """The closed milestones of a product's forge: number, title, and when it was closed. Raises ToolFailed."""
        from pilothouse.composition import toolbox
        from pilothouse.engine.world import iso

        tools = toolbox(self, configuration, product, "r-worker", iso(self.clock.now()), {})
        found = tools.observe("forge.milestones", {}).facts["milestones"]
        rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
        return [(int(str(row["number"])), str(row["title"]), str(row["closed_at"])) for row in rows]

    def follow(self, run: str, *, approve: Callable[[RunState, str], bool] | None = None) -> Standing:
        """Go on until the run waits for a person, rests or is over; watches are waited for.

        Args:
            approve: asked at each open checkpoint; True where it approved (a scripted approval).
        """
        world = self.world(self.find(run))
        while True:
            standing = self.advance(run, world)
            wait = standing.wait
            if wait is None:
                return standing
            if wait.reason_code == "watch" and wait.until:
                pause = (datetime.fromisoformat(wait.until) - self.clock.now()).total_seconds()
                self.clock.sleep(min(pause, 5.0))
            elif not (wait.checkpoint and approve and approve(standing.state, wait.checkpoint)):
                return standing

    @contextmanager
    def _holding(self, chain: str) -> Iterator[Callable[[], Lease | None]]:
        from pilothouse.ledger.heartbeat import holding

        holder = f"{_host()}:{os.getpid()}:{id(self):x}:{_room()}"
        self._bury_dead_holder(chain)
        try:
            with holding(self.journal, chain, holder, self.clock, seconds=LEASE_SECONDS) as held:
                yield lambda: held.lease
        except LeaseLost as lost:
            raise RequestRefused(
                "product-busy", f"another conductor is at work on {chain}: {lost.message}",
                "wait for it, or look at it with: pilothouse status",
            ) from lost  # fmt: skip

    def _bury_dead_holder(self, chain: str) -> None:
        """Give back the lease of a conductor that died on this very machine: nobody need wait for it to run out.

        Its children died with it (the guardian), and its fence is stale from here on. A holder in another pid
        namespace, or one that does not say in which (older versions), may be alive whatever its number says here.
        """
        lease = self.journal.holder(chain)
        if lease is None:
            return
        match lease.holder.rsplit(":", 3):
            case [host, pid, _, room] if host == _host() and room and room == _room() and pid.isdecimal():
                if not _alive(int(pid)):
                    self.journal.release(lease)
            case _:
                pass

    def _render_state_file(self) -> None:
        from pilothouse.stateview import render_state_file

        render_state_file(self)

    # --- people -------------------------------------------------------------------------------------------------

    def resume(
        self, run: str, who: Person, *, lift_hold: str = "", settle: str = "", reason: str = "",
        override: Sequence[str] = (), go: str = "",
    ) -> str:  # fmt: skip
        """Set a run going again (the caller follows it); its id.

        Raises:
            UsageError: nothing to resume, or an exception without its reason.
            RequestRefused: this person may not override, or give a go.
        """
        from pilothouse import people
        from pilothouse.stateview import check_state_file

        check_state_file(self)
        return people.resume(
            self, self.find(run), who, lift_hold=lift_hold, settle=settle, reason=reason, override=override, go=go
        )

    def approve(self, run: str, who: Person, ask: Callable[[str, str], str]) -> RunState:
        """Draw a word, show it through ``ask(card, word)``, compare what comes back, and record the outcome (APR-1, 2).

        Raises:
            RequestRefused: nothing waits, the word was wrong or late, the checkpoint expired.
        """
        from pilothouse import approving
        from pilothouse.stateview import check_state_file

        check_state_file(self)
        try:
            return approving.approve(self, self.find(run), who, ask)
        except RunEnded:
            self._closed(self.find(run))
            raise

    def approve_scripted(self, state: RunState, checkpoint: str) -> bool:
        """Approve by the file that policy names, where it covers this checkpoint (APR-6).

        Returns:
            Whether the checkpoint is open now; False where it does not cover it, or more people are needed.
        """
        from pilothouse import approving

        return approving.approve_scripted(self, state, checkpoint)

    def statement(self, run: str) -> bytes:
        """The bytes that an SSH signature over a run's open checkpoint covers. Raises RequestRefused."""
        from pilothouse import approving

        return approving.statement_of(self.find(run))

    def approve_signed(self, run: str, approver: str, channel: str, signature: str) -> RunState:
        """Record an approver's SSH signature over what the open checkpoint shows, once it verifies (APR-4).

        Raises:
            RequestRefused: nothing waits, they may not approve, or the signature is not theirs or of something else.
        """
        from pilothouse import approving
        from pilothouse.stateview import check_state_file

        check_state_file(self)
        return approving.approve_signed(self, self.find(run), approver, channel, signature)

    def lock(self, product: str, who: Person, *, name: str = "", reason: str, lasts: timedelta | None = None) -> Lock:
        """Hold a product, or every one (``locking.ALL``). Raises UsageError, RequestRefused."""
        from pilothouse import locking

        made = locking.lock(self, product, who, name=name, reason=reason, lasts=lasts)
        self._render_state_file()
        return made

    def unlock(self, product: str, who: Person, *, name: str = "", reason: str) -> Locked:
        """Take a lock off, one's own or as a permitted approver; the lock that held. Raises RequestRefused."""
        from pilothouse import locking

        known = locking.unlock(self, product, who, name=name, reason=reason)
        self._render_state_file()
        return known

    def validate(self, product: str, who: Person, ask: Ask, sha: str = "") -> tuple[Validated, ...]:
        """Ask every manual check of a product, and record the answers. Raises RequestRefused, UsageError."""
        from pilothouse import validating

        return validating.validate(self, product, who, ask, sha)

    def reject(self, run: str, who: Person, reason: str) -> RunState:
        """Reject what waits; durable."""
        from pilothouse import people

        return self._closed(people.reject(self, self.find(run), who, reason))

    def abort(self, run: str, who: Person, reason: str) -> RunState:
        """End a run; durable. An act that is under way gets its outcome recorded all the same."""
        from pilothouse import people

        return self._closed(people.abort(self, self.find(run), who, reason))

    def _closed(self, state: RunState) -> RunState:
        """The run, with the outcome of what was on record written down; who conducts it now does that themselves."""
        if not state.closing:
            return state
        try:
            return self.advance(state.run).state
        except RequestRefused:
            return self.find(state.run)
