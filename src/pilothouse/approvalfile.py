"""Scripted approvals for CI: the file that policy names, read from the remote's base ref and nowhere else (APR-6)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pilothouse import config, yamlfile
from pilothouse.composition import toolbox, world_of
from pilothouse.engine.world import iso
from pilothouse.errors import InvalidFile, RequestRefused
from pilothouse.guard.approval import ScriptedApproval
from pilothouse.guard.state import RunState
from pilothouse.playbook.find import list_workflows, load_templates

if TYPE_CHECKING:
    from pilothouse.ports import Tools
    from pilothouse.workspace import Workspace


def read_from_base(app: Workspace, state: RunState, sha: str = "") -> tuple[ScriptedApproval, ...]:
    """The scripted approvals that hold for a run: policy and file as they are at a commit of the base branch.

    The working tree has no say: whoever can edit it could otherwise approve their own release.

    Args:
        sha: the commit; the run's own where none is given.

    Raises:
        InvalidFile: the file is not what it should be.
    """
    tools = world_of(app, state.run, state.started, state.started_at).tools
    sha = sha or state.started.to_sha
    policy = config.parse(_text(tools, sha, "pilothouse.yml"), f"{sha[:7]}:pilothouse.yml").policy
    if policy.scripted_approvals is None:
        return ()
    path = policy.scripted_approvals
    return parse(_text(tools, sha, path), f"{sha[:7]}:{path}")


def made_of_base(app: Workspace, state: RunState) -> bool:
    """Whether configuration, workflow and prompts of a run are those of its pinned commit, or shipped ones.

    A standing approval was given for what is on the protected base; what somebody has edited beside it is for a person.
    """
    tools = world_of(app, state.run, state.started, state.started_at).tools
    sha, started = state.started.to_sha, state.started
    shipped = {f"prompts/{name}": text for name, text in load_templates().items()}
    mine = {f"prompts/{name}": str(text) for name, text in started.prompts.items()}
    workflow = f"workflows/{started.workflow}.yml"
    mine |= {"pilothouse.yml": started.config_source, workflow: started.workflow_source}
    known = {found.name: found for found in list_workflows()}
    if started.workflow in known:
        shipped[workflow] = known[started.workflow].text()
    drafted = state.facts().get("notes", {}).get("source", "template") == "template"  # not a file of the working tree
    return drafted and all(
        text == shipped.get(path) or text == tools.observe("git.file", {"sha": sha, "path": path}).facts["text"]
        for path, text in mine.items()
    )


def named_by_policy(app: Workspace, state: RunState) -> str:
    """The path of the approvals file that policy names on the base ref, or an empty string."""
    sha = state.started.to_sha
    text = _text(world_of(app, state.run, state.started, state.started_at).tools, sha, "pilothouse.yml")
    return config.parse(text, f"{sha[:7]}:pilothouse.yml").policy.scripted_approvals or ""


def named_on_base(app: Workspace, product: str) -> str:
    """The same before a run exists: as the base branch has it at this moment."""
    configuration = config.load(app.project / "pilothouse.yml")
    chosen = product if product in configuration.products else next(iter(configuration.products))
    tools = toolbox(app, configuration, chosen, "r-start", iso(app.clock.now()), {})
    sha = str(tools.observe("git.base", {}).facts["to_sha"])
    return (
        config.parse(_text(tools, sha, "pilothouse.yml"), f"{sha[:7]}:pilothouse.yml").policy.scripted_approvals or ""
    )


def _text(tools: Tools, sha: str, path: str) -> str:
    facts = tools.observe("git.file", {"sha": sha, "path": path}).facts
    if facts.get("found") is not True:
        raise RequestRefused(
            "approvals-file-missing", f"{path} is not at the root of the repository on the base branch at {sha[:7]}",
            "scripted approvals need pilothouse.yml and the file that it names there: commit both to the base branch; "
            "the working tree does not count, and neither does a folder further down",
        )  # fmt: skip
    return str(facts["text"])


def parse(text: str, path: str) -> tuple[ScriptedApproval, ...]:
    """The entries of an approvals file.

    Raises:
        InvalidFile: with file, line and what was expected.
    """
    doc = yamlfile.load(text, path)
    reader = yamlfile.Reader(doc)
    if reader.required("version", int) != 1:
        raise InvalidFile(path, 1, "this version of the approvals file is not known", "write: version: 1")
    entries = []
    for item in reader.sections("approvals"):
        entries.append(
            ScriptedApproval(
                item.required("checkpoint", str), item.required("product", str), item.required("workflow", str),
                item.required("approver", str), _moment(item.required("expires", str), path, item.line()),
                item.optional("standing", bool, default=False),
            )
        )  # fmt: skip
        item.done()
    reader.done()
    return tuple(entries)


def _moment(text: str, path: str, line: int) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidFile(
            path, line, f"{text!r} is no date", "write: 2027-01-31 or 2027-01-31T12:00:00+00:00"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
