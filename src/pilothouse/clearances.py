"""What clearance a checkpoint needs, read from the remote's protected base branch and never from disk (APR-4, APR-6).

Whoever can edit a working tree could otherwise make themselves an approver.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pilothouse import config
from pilothouse.canonical import Json
from pilothouse.errors import InvalidFile, RequestRefused, ToolFailed
from pilothouse.guard.clearance import ACCOUNT, ELICITED, SIGNATURE, STANDING, Clearance, Requirement
from pilothouse.guard.state import RunState
from pilothouse.playbook.find import list_workflows, load_templates
from pilothouse.settings import Configuration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pilothouse.model import Person
    from pilothouse.ports import Tools

# What a range touches (the fact of git.touched), and what is said of it on the card.
TOUCHED = {
    "ci": "changes what CI runs",
    "policy": "changes policy, workflows or agents",
    "prompts": "changes prompts",
    "lock_files": "changes dependency lock files",
    "destructive_sql": "a migration destroys data",
}
ROLLBACK = "rollback"  # the workflow that goes back
ORIGIN = "origin"  # what git calls the place that a clone came from
_LIVE = "deploy.current"  # the tool whose fact ``sha`` is what an environment runs
_SHOWN = 3  # paths on the card; the rest is counted


def clearance(tools: Tools, state: RunState, checkpoint: str, path: str) -> Clearance:
    """The clearance that a checkpoint of a run needs now.

    Args:
        tools: of the run; they read the remote's base branch.
        path: of pilothouse.yml within the repository.

    Raises:
        ToolFailed: the base branch cannot be read.
        RequestRefused: ``policy-unreadable``: there is no sound pilothouse.yml on the base branch; ``base-not-named``.
    """
    base = trusted_base(tools, state.started.product, path)
    policy = on_base(tools, base, path)
    known = (ACCOUNT, SIGNATURE) if policy.policy.signature == "allow" else (SIGNATURE,)
    if policy.policy.scripted_approvals is not None and policy.policy.signature == "allow":
        known = (*known, STANDING)
    if policy.policy.elicitation == "allow" and policy.policy.signature == "allow":
        known = (*known, ELICITED)
    needed = policy.policy.approval
    requires = (Requirement(needed.group, needed.number, checkpoint), *_additional(tools, policy, state, base, path))
    starter = state.started.started_by
    own = next((item.id for item in policy.approvers if starter in (item.id, *item.accounts)), starter)
    return Clearance(requires, policy.approvers, known, policy.policy.four_eyes, own, base)


def trusted_base(tools: Tools, product: str, path: str, seen: Mapping[str, Json] | None = None) -> str:
    """The commit of a product's base branch, where that is a branch whose policy counts.

    Which branch is the base stands in the working tree's pilothouse.yml, and a branch of one's own would name oneself.
    So it is the remote's default branch, or one that the pilothouse.yml of the default branch names. The remote in turn
    is origin, where the clone has one, or one that origin's own pilothouse.yml names: a fork is anybody's.

    Args:
        tools: of the product.
        product: its name.
        path: of pilothouse.yml within the repository.
        seen: the facts of ``git.base``, where they were looked at just now.

    Raises:
        ToolFailed: the remote cannot be read.
        RequestRefused: ``base-not-named``, ``remote-not-named``.
    """
    seen = tools.observe("git.base", {}).facts if seen is None else seen
    _demand_trusted_remote(tools, product, str(seen["remote"]), path)
    base = str(seen["base"])
    trunk = str(seen.get("trunk") or base)  # a remote that has no default branch has nothing better to say
    if trunk != base:
        named = on_base(tools, str(seen["trunk_sha"]), path).products.get(product)
        if named is None or named.base != base:
            raise RequestRefused(
                "base-not-named",
                f"{base} is not the remote's default branch {trunk}, and {trunk}:{path} does not name it as the base",
                f"who may approve is read from a branch that nobody chooses for themselves: name the base on {trunk}",
            )
    return str(seen["to_sha"])


def _demand_trusted_remote(tools: Tools, product: str, remote: str, path: str) -> None:
    if remote == ORIGIN:
        return
    seen = tools.observe("git.origin", {"path": path}).facts
    if seen["exists"] is not True:
        return  # the clone's own configuration, which no commit can write, leaves no choice between the two
    try:
        known = config.parse(str(seen["text"]), f"{ORIGIN}:{path}").products if seen["found"] is True else {}
    except InvalidFile:
        known = {}
    if product not in known or known[product].remote != remote:
        raise RequestRefused(
            "remote-not-named",
            f"{remote} is not {ORIGIN}, and {path} on {ORIGIN}'s default branch does not name it for {product}",
            f"who may approve is read from a remote that nobody chooses for themselves: name it on {ORIGIN}",
        )


def on_base(tools: Tools, base: str, path: str) -> Configuration:
    """The configuration as it is at a commit of the base branch.

    Raises:
        RequestRefused: ``policy-unreadable``.
    """
    facts = tools.observe("git.file", {"sha": base, "path": path}).facts
    shown = f"{base[:7]}:{path}"
    hint = f"who may approve is read from {path} on the base branch: commit it there; the working tree does not count"
    if facts.get("found") is not True:
        raise RequestRefused("policy-unreadable", f"there is no {shown}", hint)
    try:
        return _parsed(str(facts["text"]), shown)
    except InvalidFile as error:
        raise RequestRefused("policy-unreadable", error.message, hint) from error


@lru_cache(maxsize=4)
def _parsed(text: str, shown: str) -> Configuration:
    """The same bytes are read before every act; they are looked at each time, and understood once."""
    return config.parse(text, shown)


def within_repository(project: Path) -> str:
    """The path of a project's pilothouse.yml within its repository."""
    folder = project.resolve()
    root = next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), folder)
    return (folder / "pilothouse.yml").relative_to(root).as_posix()


def is_way_back(tools: Tools, product: str, name: str, source: str, path: str) -> bool:
    """Whether a workflow is the rollback that freezes and locks never hold: as shipped, or as the base branch has it.

    By its text: whoever can edit a working tree could otherwise call anything so.

    Args:
        tools: of the product.
        product: its name.
        name: of the workflow that is to run.
        source: its text.
        path: of pilothouse.yml within the repository.

    Raises:
        ToolFailed: a text of one's own, and the remote cannot be read.
        RequestRefused: as ``trusted_base``.
    """
    if name != ROLLBACK:
        return False
    if any(found.name == ROLLBACK and found.text() == source for found in list_workflows()):
        return True
    file = (PurePosixPath(path).parent / f"workflows/{ROLLBACK}.yml").as_posix()
    facts = tools.observe("git.file", {"sha": trusted_base(tools, product, path), "path": file}).facts
    return facts.get("found") is True and facts["text"] == source


def _additional(tools: Tools, policy: Configuration, state: RunState, base: str, path: str) -> list[Requirement]:
    """What the released range asks for besides (I11, I21); a range that cannot be looked at asks for all of it."""
    # A rollback goes back to what was approved before; a workflow of one's own that is called so is another matter.
    touched = {kind: [] for kind in TOUCHED} if state.started.way_back else _touched(tools, state)
    rows = []
    for name, why in TOUCHED.items():
        needed = policy.policy.additional.get(name)
        found = touched.get(name)
        if needed is not None and name == "policy" and isinstance(found, list):
            found = [*found, *(f"{item} (not pushed)" for item in _unpushed(tools, state, base, path))]
        if needed is None or found == []:
            continue
        what = _listed(found) if isinstance(found, list) else "nobody could look whether it does"
        rows.append(Requirement(needed.group, needed.number, f"{why}: {what}"))
    emergency = policy.policy.additional.get("emergency")
    if state.overridden and emergency is not None:
        blocks: list[Json] = [*dict.fromkeys(fact.name for fact, _ in state.overridden)]
        rows.append(Requirement(emergency.group, emergency.number, f"an emergency: ships through {_listed(blocks)}"))
    return rows


def _touched(tools: Tools, state: RunState) -> Mapping[str, list[Json]]:
    """What the range touches, looked at here: a workflow of one's own could leave the look out, or look elsewhere."""
    started = state.started
    # A version's tag is anybody's to push, and one on yesterday's commit would leave nothing to look at: what
    # production answered that it runs counts, too.
    live = [str(item.facts["sha"]) for item in state.evidence.values() if item.tool == _LIVE and item.facts.get("sha")]
    found: dict[str, list[Json]] = {}
    try:
        for older in dict.fromkeys((started.from_sha, *live)):
            for kind, names in tools.observe("git.touched", {"from": older, "to": started.to_sha}).facts.items():
                if isinstance(names, list):
                    known = found.setdefault(kind, [])
                    known += [name for name in names if name not in known]
    except ToolFailed:
        return {}
    return found


def _unpushed(tools: Tools, state: RunState, base: str, path: str) -> list[str]:
    """The files of rules that this run uses as the working tree has them: neither shipped nor pushed."""
    started, folder = state.started, PurePosixPath(path).parent
    shipped = {f"prompts/{name}": text for name, text in load_templates().items()}
    mine = {f"prompts/{name}": str(text) for name, text in started.prompts.items()}
    workflow = f"workflows/{started.workflow}.yml"
    mine |= {"pilothouse.yml": started.config_source, workflow: started.workflow_source}
    shipped |= {f"workflows/{found.name}.yml": found.text() for found in list_workflows()}

    def pushed(name: str) -> list[str]:
        asked = [{"sha": sha, "path": (folder / name).as_posix()} for sha in (started.to_sha, base)]
        return [str(tools.observe("git.file", item).facts["text"]) for item in asked]

    return [name for name, text in mine.items() if text != shipped.get(name) and text not in pushed(name)]


def _listed(found: list[Json]) -> str:
    shown = ", ".join(str(item)[:80] for item in found[:_SHOWN])
    return shown + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


def known_as(cleared: Clearance, person: Person) -> str:
    """The approver whom an operating system account belongs to; the account itself where it is nobody's.

    An account is nobody's by bearing an approver's id: only the accounts that the base branch lists are theirs.
    """
    if person.authentication not in (ACCOUNT, ELICITED):
        return person.identity  # who signs gives their id, and the key proves it
    listed = next((item.id for item in cleared.approvers if person.identity in item.accounts), None)
    if listed is not None:
        return listed
    taken = cleared.approver(person.identity) is not None
    return f"account:{person.identity}" if taken else person.identity  # no id of an approver holds a colon
