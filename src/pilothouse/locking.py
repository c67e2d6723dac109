"""Locks and overrides: what people say to a product, and to a run that a freeze or a lock holds.

To lock is the safe way, so whoever has an account may do it; whatever permits is an approver's of the base branch.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pilothouse import config
from pilothouse.composition import toolbox, world_of
from pilothouse.config.scalars import YEARS
from pilothouse.engine.world import iso
from pilothouse.errors import ChainMoved, PilothouseError, RequestRefused, UsageError
from pilothouse.events import GLOBAL_CHAIN, PRODUCT_LINE, Allowed, Locked, Overridden, Unlocked
from pilothouse.guard.decide import next_step
from pilothouse.guard.policy import Constraints
from pilothouse.guard.product import Lock, ProductState
from pilothouse.guard.state import asks
from pilothouse.policies import approver_of, held_by, named, permitted, policy_on_base

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pilothouse.events import Fact
    from pilothouse.guard.state import RunState
    from pilothouse.model import Approver, Person
    from pilothouse.ports import Tools
    from pilothouse.settings import Configuration
    from pilothouse.workspace import Workspace

ALL = GLOBAL_CHAIN  # in place of a product: every one
OWN = "rollback-"  # names that the engine gives
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,80}")
_TRIES = 5  # a run that is advancing appends to the same chain


def tools_for(app: Workspace, product: str) -> tuple[Tools, str]:
    """Tools that read a product's remote, and the product: for ``ALL``, the first of the working tree's configuration.

    Raises:
        UsageError: there is no such product.
    """
    configuration = config.load(app.project / "pilothouse.yml")
    name = next(iter(configuration.products)) if product == ALL else product
    if name not in configuration.products:
        raise UsageError(
            "unknown-product", f"there is no product {name!r}", f"products: {', '.join(configuration.products)}"
        )
    return toolbox(app, configuration, name, "r-policy", iso(app.clock.now()), {}), name


def base_policy(app: Workspace, product: str) -> Configuration:
    """The configuration on a product's base branch, now. Raises ToolFailed, RequestRefused."""
    tools, name = tools_for(app, product)
    return policy_on_base(app, tools, name)


def constraints_now(app: Workspace, product: str) -> tuple[Configuration, Constraints]:
    """The policy on the base branch, and what holds a product now."""
    policy = base_policy(app, product)
    return policy, held_by(app, policy, product)


def lock(app: Workspace, product: str, who: Person, *, name: str, reason: str, lasts: timedelta | None) -> Lock:
    """Hold a product, or every one (``ALL``).

    Args:
        app: the project.
        product: its name.
        who: anybody with an account here.
        name: of the lock; empty: one is made.
        reason: why; whoever is held reads it.
        lasts: how long; None: until it is unlocked.

    Raises:
        UsageError: no such product, no reason, or a name that locks may not have.
        RequestRefused: ``locked-already``.
    """
    reason = _demand_reason(reason)
    tools, asked = tools_for(app, product)
    owner = _owner(app, tools, asked, who)
    now = app.clock.now()
    name = name or f"lock-{now:%Y%m%d-%H%M%S}"
    if _NAME.fullmatch(name) is None or name.startswith(OWN):
        hint = f"lower-case letters, digits, '.' and '-', not beginning with {OWN}"
        raise UsageError("bad-lock-name", f"{name[:60]!a} is no name for a lock", hint)
    expires = iso(now + lasts) if lasts else ""

    def facts(line: ProductState) -> Fact:
        if any(item.fact.name == name for item in line.held(iso(app.clock.now()))):
            raise RequestRefused("locked-already", f"the lock {name} holds already", "see: pilothouse status")
        return Locked(name, reason, owner, who.channel, expires, "")

    append_to_line(app, product, facts)
    return app.line(product).locks[name]


def unlock(app: Workspace, product: str, who: Person, *, name: str, reason: str) -> Locked:
    """Take a lock off: one's own, or as a permitted approver anybody's; the lock that held.

    Raises:
        UsageError: no reason, or more than one lock and no name.
        RequestRefused: ``not-locked``, or this person may not.
    """
    reason = _demand_reason(reason)
    held = app.line(product).held(iso(app.clock.now()))
    found = [item for item in held if name in ("", item.fact.name)]
    if not found:
        raise RequestRefused(
            "not-locked", f"no lock {name or ''} holds here".replace("  ", " "), "see: pilothouse status"
        )
    if len(found) > 1:
        listed = ", ".join(item.fact.name for item in found)
        raise UsageError("which-block", f"there is more than one lock: {listed}", "name one: --name NAME")
    known = found[0].fact
    tools, asked = tools_for(app, product)
    owner = _owner(app, tools, asked, who)
    if owner != known.owner:
        policy = policy_on_base(app, tools, asked)
        owner = permitted(policy, who, policy.policy.override.group).id

    def facts(line: ProductState) -> Fact:
        if line.locks.get(known.name) != found[0]:
            raise RequestRefused("not-locked", f"the lock {known.name} changed at this moment", "look again")
        return Unlocked(known.name, owner, who.channel, who.authentication, reason)

    append_to_line(app, product, facts)
    return known


def append_to_line(app: Workspace, chain: str, fact: Callable[[ProductState], Fact]) -> None:
    """Append to a product's line what its present state calls for, by compare-and-swap."""
    for left in reversed(range(_TRIES)):
        head = app.journal.head(chain)
        chosen = fact(app.line(chain))
        try:
            app.journal.append(chain, PRODUCT_LINE, [chosen], iso(app.clock.now()), expect=head)
        except ChainMoved:
            if not left:
                raise
        else:
            return


def _owner(app: Workspace, tools: Tools, product: str, who: Person) -> str:
    """Under whose name a lock stands: an approver's id, else an account, told so that it is no approver's id."""
    try:
        approver = approver_of(policy_on_base(app, tools, product), who)
    except PilothouseError:
        approver = None  # the remote cannot be read: the line is stopped all the same
    return approver.id if approver else f"account:{who.identity}"


def overrides(
    policy: Configuration, held: Constraints, who: Person, names: Sequence[str], reason: str,
    starter: str,
) -> list[Overridden]:  # fmt: skip
    """The overrides of a person, one a name.

    Args:
        policy: as it is on the base branch.
        held: what holds the product now.
        who: who overrides.
        names: of freezes and locks that hold it.
        reason: why.
        starter: the account that started the run; empty: it starts just now, and ``starting`` sees to four eyes.

    Raises:
        UsageError: no reason, or a name of nothing that holds it.
        RequestRefused: they may not.
    """
    if not names:
        return []
    reason = _demand_reason(reason)
    approver = permitted(policy, who, policy.policy.override.group)
    if policy.policy.four_eyes == "require" and starter in (approver.id, *approver.accounts):
        raise RequestRefused(
            "four-eyes", f"{approver.id} started this run, and policy asks for a second person", "ask another approver"
        )
    blocks = {named(held.blocks, name).id: None for name in names}
    return [Overridden(block, approver.id, who.channel, who.authentication, reason) for block in blocks]


def override_run(app: Workspace, state: RunState, who: Person, names: Sequence[str], reason: str) -> list[Overridden]:
    """The overrides of a person for a run that exists. Raises as ``overrides``."""
    if not names:
        return []
    tools = world_of(app, state.run, state.started, state.started_at).tools
    policy = policy_on_base(app, tools, state.started.product)
    held = held_by(app, policy, state.started.product)
    found = overrides(policy, held, who, names, reason, state.started.started_by)
    before = {(fact.name, fact.who) for fact, _ in state.overridden}
    if any((fact.name, fact.who) in before for fact in found):
        raise RequestRefused(
            "overridden-before", f"{found[0].who} has overridden that already; another person is needed"
        )
    return found


def go(app: Workspace, state: RunState, who: Person, step: str) -> Allowed:
    """A person's go for the act that waits for one (PRO-11).

    Raises:
        UsageError: ``no-such-go``: that step does not wait for one now.
        RequestRefused: they may not.
    """
    world = world_of(app, state.run, state.started, state.started_at)
    waiting = next_step(world.workflow, state)
    if waiting is None or waiting.id != step or not asks(state, step) or state.refused or state.halted:
        raise UsageError("no-such-go", f"{step!r} does not wait for a go now", f"see: pilothouse status {state.run}")
    approver = permitted_now(app, state, who)
    return Allowed(step, approver.id, who.channel, who.authentication)


def lasting(text: str) -> timedelta | None:
    """How long ``3d``, ``12h`` or ``45m`` is; None for an empty text. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,4})([mhd])", text)
    if not text:
        return None
    if found is None or not int(found.group(1)):
        raise UsageError("bad-duration", f"{text[:40]!a} is not a duration", "write 45m, 12h or 3d")
    units = {"m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{units[found.group(2)]: int(found.group(1))})


def moment(text: str, now: datetime) -> datetime:
    """The moment that a text names in ISO 8601, with its offset; local time of this machine without one; empty: now."""
    if not text:
        return now
    hint = "write 2026-12-24T18:00+01:00"
    try:
        found = datetime.fromisoformat(text)
        if found.year in YEARS:
            return found.astimezone()
    except (ValueError, OverflowError) as error:
        raise UsageError("bad-time", f"{text[:40]!a} is not a time", hint) from error
    raise UsageError("bad-time", f"{text[:40]!a} is not in the years {YEARS[0]} to {YEARS[-1]}", hint)


def _demand_reason(text: str) -> str:
    if not text.strip():
        raise UsageError("reason-missing", "this goes on the record and needs a reason", "add: --reason '…'")
    return text.strip()[:500]


def permitted_now(app: Workspace, state: RunState, who: Person) -> Approver:
    """The approver that a person is, by the policy on the base branch of a run's product. Raises RequestRefused."""
    tools = world_of(app, state.run, state.started, state.started_at).tools
    return permitted(policy_on_base(app, tools, state.started.product), who)
