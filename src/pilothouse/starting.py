"""How a run starts: who asks for what, what it is pinned to, and whether the product is free (INT-3, INT-4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from pilothouse import __version__, config, promoting
from pilothouse.canonical import Json
from pilothouse.clearances import ROLLBACK, is_way_back, on_base, trusted_base, within_repository
from pilothouse.composition import checked_workflow, toolbox, world_of
from pilothouse.engine.rehearse import rehearse as rehearse_run
from pilothouse.engine.world import iso
from pilothouse.errors import ChainMoved, RequestRefused, UsageError
from pilothouse.events import WAY_BACK, Overridden, Started, Superseded
from pilothouse.guard.decide import asks_each
from pilothouse.guard.policy import refusal
from pilothouse.guard.state import RunState
from pilothouse.ledger.memory import MemoryJournal
from pilothouse.locking import overrides
from pilothouse.model import Person, Workflow
from pilothouse.nets import GuardedJournal
from pilothouse.playbook.find import find_workflow, load_templates
from pilothouse.policies import demand_pushed, held_by
from pilothouse.settings import Configuration, Product

if TYPE_CHECKING:
    from pilothouse.ports import Tools
    from pilothouse.workspace import Request, Workspace


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run about to start: its Started, its id, and the resting run that it supersedes, if there is one."""

    run: str
    at: str
    started: Started
    gives_way: RunState | None
    policy: Configuration | None  # as it is on the base branch; None for a way back, which nothing holds


def start(app: Workspace, request: Request, who: Person) -> str:
    """See ``app.Pilothouse.start``."""
    prepared = _prepare(app, request, who)
    chain = prepared.started.product
    head = app.journal.head(chain)
    # Whoever appended since the product was seen to be free has taken it: the compare-and-swap below notices.
    gives_way = _refuse_if_busy(app, chain, request, prepared.started.to_sha)
    _refuse_taken_slot(app, chain, prepared.started.inputs)
    if (gives_way and gives_way.run) != (prepared.gives_way and prepared.gives_way.run):
        raise RequestRefused("product-busy", f"a run of {chain} changed at this moment", "see: pilothouse status")
    # In one batch: a kill in between would leave a run that gave way to nothing.
    superseded = (prepared.gives_way.run, Superseded(prepared.run)) if prepared.gives_way else None
    overridden = _not_held(app, prepared, request, who)
    try:
        app.journal.append(
            chain, prepared.run, [prepared.started, *overridden], prepared.at, expect=head, first=superseded
        )
    except ChainMoved as moved:
        raise RequestRefused(
            "product-busy", f"somebody else started a run of {chain} at this moment", "see: pilothouse status"
        ) from moved
    state = app.find(prepared.run)
    for event in app.journal.read(chain, after=head.seq):
        if event.run == prepared.run:
            app.listen(event, state)
    return prepared.run


def _not_held(app: Workspace, prepared: Prepared, request: Request, who: Person) -> list[Overridden]:
    """The overrides with which a run may start; refuses early what the guard would refuse at its first act.

    Raises:
        RequestRefused: ``frozen`` or ``locked``, or this person may not override.
    """
    if prepared.policy is None:
        if request.override:
            raise UsageError("nothing-to-override", "nothing holds a way back", "leave --override out")
        return []
    product = prepared.started.product
    held = held_by(app, prepared.policy, product)
    given = overrides(prepared.policy, held, who, request.override, request.reason, starter="")
    names = {fact.name for fact in given}
    # Where policy asks for several people, the others override the run that has started; until then it rests.
    refused = refusal(replace(held, blocks=tuple(item for item in held.blocks if item.id not in names)), "")
    if refused is not None:
        hint = refused.hint.replace("PRODUCT", product)
        raise RequestRefused(refused.reason_code, refused.message, hint)
    # Where policy asks for four eyes, whoever starts it does not override: it rests until somebody else has.
    return [] if prepared.policy.policy.four_eyes == "require" else given


def rehearse(app: Workspace, request: Request, who: Person) -> tuple[RunState, list[str]]:
    """See ``app.Pilothouse.rehearse``."""
    prepared = _prepare(app, request, who)
    journal = GuardedJournal(MemoryJournal(), app.redactor)  # a rehearsal refuses what the real run would refuse
    journal.append(prepared.started.product, prepared.run, [prepared.started], prepared.at)
    world = world_of(app, prepared.run, prepared.started, prepared.at)
    world.journal = journal
    state, problems = rehearse_run(prepared.run, world)
    if prepared.policy is not None:
        held = refusal(held_by(app, prepared.policy, product := prepared.started.product), "")
        problems = [*problems, f"{held.message}. {held.hint.replace('PRODUCT', product)}"] if held else problems
    return state, problems


def _prepare(app: Workspace, request: Request, who: Person) -> Prepared:
    configuration = config.load(app.project / "pilothouse.yml")
    product = _product(configuration, request.product)
    name = request.workflow or configuration.workflow
    source = find_workflow(name, app.project)
    templates = load_templates(app.project)
    now = app.clock.now()
    tools = toolbox(app, configuration, product.name, "r-start", iso(now), templates)
    workflow = checked_workflow(app, source, tools, templates)
    _check_inputs(workflow, request)
    inputs: dict[str, Json] = {"version": request.version, **request.inputs}
    seen = None if name == ROLLBACK else tools.observe("git.base", {}).facts
    pinned = _pin_rollback(app, product, inputs) if seen is None else promoting.pinned(tools, workflow, product, seen)
    if promoting.promotes(workflow) and product.promotion is not None:
        inputs["promoted_branch"] = product.promotion.branch
    gives_way = _refuse_if_busy(app, product.name, request, str(pinned["to_sha"]))
    inputs["superseded_branch"] = "" if name == "rollback" else _left_branch(app, product.name)
    path = within_repository(app.project)
    way_back = inputs[WAY_BACK] = is_way_back(tools, product.name, name, workflow.source, path)
    several = len(configuration.products) > 1
    run = _run_id(app, tools, product, now.strftime("%Y-%m-%d"), several=several)
    started = Started(
        product=product.name, workflow=name, workflow_source=workflow.source, config_source=configuration.source,
        prompts=cast("dict[str, Json]", dict(templates)), inputs=inputs, started_by=who.identity, channel=who.channel,
        started_on=now.strftime("%Y-%m-%d"), from_version=str(pinned["from_version"]),
        from_sha=str(pinned["from_sha"]), to_sha=str(pinned["to_sha"]), base_ref=product.base,
        targets=_targets(product), global_head=app.journal.head("_global").hash,
        supersedes=gives_way.run if gives_way else None, outline=outline_of(workflow), tool_version=__version__,
    )  # fmt: skip
    policy = None if way_back else on_base(tools, trusted_base(tools, product.name, path, seen), path)
    if policy is not None:
        demand_pushed(configuration, policy, product.name)
    return Prepared(run, iso(now), started, gives_way, policy)


def _product(configuration: Configuration, name: str) -> Product:
    if name in configuration.products:
        return configuration.products[name]
    if not name and len(configuration.products) == 1:
        return next(iter(configuration.products.values()))
    known = ", ".join(sorted(configuration.products))
    if not name:
        raise UsageError("which-product", f"which product? There are: {known}")
    raise UsageError("unknown-product", f"there is no product {name!r}", f"products: {known}")


def _check_inputs(workflow: Workflow, request: Request) -> None:
    if request.version and workflow.name not in {"release", "rollback"}:
        raise UsageError("no-such-input", f"the workflow {workflow.name} takes no version")


def _refuse_if_busy(app: Workspace, product: str, request: Request, to_sha: str) -> RunState | None:
    """The resting run that this request supersedes, or None; refuses while another run holds the product (INT-4)."""
    for state in app.runs(product):
        if state.over:
            continue
        who, when = state.started.started_by, state.started_at[:16].replace("T", " ")
        if request.dry_run:
            return None  # it only looks; who follows it is told that the product is busy
        told = f"{state.run} holds {state.started.product}: started by {who} at {when} UTC, {state.standing()}"
        # What is in production already is finished or taken back first: it is tagged nowhere yet.
        if state.refused is None or state.production_attempted() or state.recording():
            raise RequestRefused("product-busy", told, f"see: pilothouse status {state.run}")
        if state.started.to_sha == to_sha and request.workflow in {"", state.started.workflow}:
            hint = f"nothing has changed since: pilothouse resume {state.run}, or pilothouse abort {state.run}"
            raise RequestRefused("product-busy", told, hint)
        return state
    return None


def _refuse_taken_slot(app: Workspace, product: str, inputs: dict[str, Json]) -> None:
    """A slot of a schedule or an event starts one run, however many workers see it (INT-2)."""
    slot = inputs.get("slot")
    taken = next((state for state in app.runs(product) if slot and state.started.inputs.get("slot") == slot), None)
    if taken is not None:
        raise RequestRefused(
            "slot-taken", f"{slot} of {product} was started already: {taken.run}", f"see: pilothouse status {taken.run}"
        )


def _left_branch(app: Workspace, product: str) -> str:
    """The release commit that the latest release left on its branch unmerged: rejected, undone or superseded."""
    for state in reversed(app.runs(product)):
        branch, merge = state.acts.get("branch"), state.acts.get("merge")
        if branch and branch.done:
            return "" if merge and merge.done else str(branch.done.facts.get("sha", ""))
    return ""


def _run_id(app: Workspace, tools: Tools, product: Product, date: str, *, several: bool) -> str:
    number = 1 + sum(1 for state in app.runs() if state.run.startswith(f"r-{date}-"))
    # Two products may start at the same moment, and the compare-and-swap is one a product: the name tells them apart.
    end = f"-{product.name}" if several else ""
    # Another clone may have shipped today, or this one's ledger was lost: a record is never written over another one's.
    while (
        product.audit is not None
        and tools.observe("record.known", {"run": f"r-{date}-{number:02d}{end}"}).facts["known"]
    ):
        number += 1
    return f"r-{date}-{number:02d}{end}"


def _targets(product: Product) -> dict[str, Json]:
    return {
        name: {
            "url": environment.url,
            "database": environment.database.identity if environment.database else "",
            "deploy": environment.deploy.branch or environment.deploy.model,
        }
        for name, environment in sorted(product.environments.items())
    }


def outline_of(workflow: Workflow) -> tuple[dict[str, Json], ...]:
    """The steps of a workflow as ``Started`` keeps them: the main line first, then each branch."""
    rows: list[dict[str, Json]] = []
    for branch in ("main", *workflow.branches):
        phases = workflow.phases if branch == "main" else workflow.branches[branch].phases
        rows.extend(
            {
                "id": step.id, "agent": step.agent, "kind": str(step.kind), "phase": phase.id,
                "phase_title": phase.title, "phase_agent": phase.agent, "branch": branch,
                **({"asks": True} if asks_each(workflow, step, branch) else {}),
            }
            for phase in phases
            for step in phase.steps
        )  # fmt: skip
    return tuple(rows)


def _pin_rollback(app: Workspace, product: Product, inputs: dict[str, Json]) -> dict[str, Json]:
    """What a stand-alone rollback goes from and to: recorded good versions (I26), and never back from a rollback."""
    touched = [state for state in app.runs(product.name) if state.production_attempted()]
    if not touched:
        raise RequestRefused("nothing-to-roll-back", f"no run has shipped {product.name} yet")
    last = touched[-1]
    if last.standing() == "rolled-back":
        raise RequestRefused(
            "rollback-of-rollback", f"the last change of production was a rollback ({last.run})",
            "a rollback is never rolled back: ship the version that you want",
        )  # fmt: skip
    promoted = promoting.way_back(touched, product)
    if promoted is not None:
        run, bad, good = promoted
        known = str(run.facts().get("live", {}).get("version") or run.started.from_version)
        if inputs.get("version") not in (None, "", known):
            raise RequestRefused(
                "version-not-recorded", f"a promotion is taken back to what was there before it: {known}",
                "leave --to out; for another version merge it into the promoted branch and ship",
            )  # fmt: skip
        if inputs.pop("restore_database", False):
            raise RequestRefused(
                "restore-not-planned", f"a promotion of {product.name} makes no backup, so there is none to restore",
                "leave --restore out; restore the database by its own means",
            )  # fmt: skip
        inputs["to_version"] = known
        bad_version = str(run.facts().get("version", {}).get("version") or inputs["to_version"])
        return {"from_version": bad_version, "from_sha": bad, "to_sha": good}
    live = last.facts().get("live", {})
    deployed = last.facts().get("production-deploy", {})
    # A rollback that failed is tried again with its own target: what was live when it began is what it takes back.
    before = last.started.inputs.get("to_version") if last.started.workflow == "rollback" else live.get("version")
    wanted = str(inputs.get("version") or before or "")
    target = _recorded(touched, wanted)
    if target is None:
        raise RequestRefused("version-not-recorded", f"no run has recorded {wanted or 'a version'} as live and good")
    inputs["to_version"] = wanted
    if inputs.pop("restore_database", False) or _needs_restore(last):
        inputs["backup"] = str(last.facts().get("backup", {}).get("key", ""))
    return {
        "from_version": str(deployed.get("version") or last.started.from_version),
        "from_sha": str(deployed.get("commit") or last.started.to_sha),
        "to_sha": target,
    }


def _needs_restore(last: RunState) -> bool:
    """Whether the version from before cannot live with what the last release did to the database (RB-2).

    Raises:
        RequestRefused: ``migration-forward-only``: nobody has said how it is undone.
    """
    if not any((act := last.acts.get(step)) is not None and act.done for step in _MIGRATING):
        return False
    undo = last.facts().get("production-migrations", {}).get("undo")
    if undo == "forward-only":
        raise RequestRefused(
            "migration-forward-only", f"{last.run} applied a migration that cannot be undone by code",
            "ship a compensating migration; or take the whole database back to before the release: rollback --restore",
        )  # fmt: skip
    return undo == "restore"


_MIGRATING = ("production-expand", "production-contract")  # the steps of workflows/release.yml


def _recorded(runs: list[RunState], version: str) -> str | None:
    """The commit that a version was live with, by the latest run that recorded it."""
    for state in reversed(runs):
        facts = state.facts()
        deployed, live = facts.get("production-deploy", {}), facts.get("live", {})
        if deployed.get("version") == version and state.standing() == "done":
            return str(deployed.get("commit"))
        if live.get("version") == version:
            return str(live.get("sha"))
    return None
