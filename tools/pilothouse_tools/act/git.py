"""Acts on the remote's refs, all of them forward only and by compare-and-swap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, EffectClass, Permit, Presence, Probe, Reach
from pilothouse.settings import VersionFile
from pilothouse_tools import grammar, versionfiles
from pilothouse_tools.door import Actor, Arguments, acts, no_pins
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from pilothouse_tools.context import Context

_TRIES = 3  # how often a merge is made anew when the branch moves under it

# -- release branch ---------------------------------------------------------------------------------------------------


def _release_commit(context: Context, arguments: Arguments, supersedes: str) -> str:
    """The run's release commit; the same arguments make the same sha, so the sha is the act's key."""
    base, version = arguments.text("base"), arguments.text("version")
    if not grammar.DATE.fullmatch(arguments.text("date")):
        raise ToolFailed("bad-argument", "git.release_branch argument 'date' is no YYYY-MM-DD")
    if supersedes and not grammar.is_sha(supersedes):
        raise ToolFailed("bad-argument", "git.release_branch argument 'supersedes' is no commit sha")
    context.repo.require(base)
    if supersedes:
        context.repo.require(supersedes)
    files = {context.in_product(context.product.versioning.changelog): arguments.text("changelog").encode(),
             **_bumped(context, base, version)}  # fmt: skip
    if wrong := [path for path in files if not grammar.is_path(path)]:
        raise ToolFailed("version-file", f"{wrong[0][:80]!r} is no path within the repository")
    tree = context.repo.tree_with(base, files)
    message = f"chore(release): {context.product.name} {version}\n\nPilothouse-Run: {context.run_id or 'none'}\n"
    return context.repo.commit(tree, [base, supersedes] if supersedes else [base], message)


def _bumped(context: Context, base: str, version: str) -> dict[str, bytes]:
    changed: dict[str, bytes] = {}
    for file in context.product.versioning.files:
        path = context.in_product(file.path)
        content = context.repo.file(base, path)
        if content is None:
            raise ToolFailed("version-file", f"{file.path} does not exist at {base[:12]}",
                             "Mend versioning.files in pilothouse.yml.")  # fmt: skip
        changed[path] = versionfiles.bump(file, content, version)
        beside = versionfiles.companion(file.path)
        if beside and (lock := context.repo.file(base, context.in_product(beside))) is not None:
            changed[context.in_product(beside)] = versionfiles.bump(VersionFile(beside), lock, version)
    return changed


def _probe_branch(context: Context, arguments: Arguments, _key: str) -> Probe:
    branch, left = arguments.text("branch"), arguments.text("supersedes")
    there = context.repo.head(branch)
    if there in {"", left}:
        _release_commit(context, arguments, there)  # what cannot be made is refused before anything is intended
        return Probe(
            Presence.ABSENT,
            f"{branch} does not exist" if not there else f"{branch} is at {there[:12]}, to be superseded",
        )
    # Built on what an earlier run left there, where it did; else on the base alone.
    wanted = next((sha for sha in _candidates(context, arguments) if sha == there), "")
    if wanted:
        return Probe(Presence.APPLIED, f"{branch} is at {wanted[:12]}", {"sha": wanted, "branch": branch},
                     {f"ref:refs/heads/{branch}": wanted})  # fmt: skip
    return Probe(
        Presence.CONFLICT, f"{branch} is at {there[:12] or 'nothing'} on the remote, which this run did not make"
    )


def _apply_branch(context: Context, arguments: Arguments, _permit: Permit) -> None:
    there = context.repo.head(arguments.text("branch"))
    if there in _candidates(context, arguments):
        return  # an earlier try landed after all
    if there not in {"", arguments.text("supersedes")}:
        raise ToolFailed("ref-moved", f"{arguments.text('branch')} appeared meanwhile", "Look at who pushed.")
    wanted = _release_commit(context, arguments, there)
    context.repo.push(f"refs/heads/{arguments.text('branch')}", wanted, there)


def _candidates(context: Context, arguments: Arguments) -> list[str]:
    """What this run's push can have left: built on the base alone, or on an earlier run's commit, too."""
    left = arguments.text("supersedes")
    return [_release_commit(context, arguments, there) for there in dict.fromkeys(("", left))]


# -- merge ------------------------------------------------------------------------------------------------------------


def _probe_merge(context: Context, arguments: Arguments, _key: str) -> Probe:
    into, commit = arguments.text("into"), arguments.text("commit")
    head = context.repo.head(into)
    if not head:
        return Probe(Presence.CONFLICT, f"{into} does not exist on the remote")
    context.repo.require(head)
    context.repo.require(commit)
    if not context.repo.is_ancestor(commit, head):
        return Probe(Presence.ABSENT, f"{into} at {head[:12]} does not contain {commit[:12]}")
    sha = _first_with(context, commit, head)
    return Probe(
        Presence.APPLIED,
        f"{into} contains {commit[:12]} since {sha[:12]}",
        {"sha": sha},
        {f"ref:refs/heads/{into}": sha},
    )


def _first_with(context: Context, commit: str, head: str) -> str:
    """The first commit on the line of ``head`` that contains ``commit``: the merge, where others have gone on since."""
    line = context.repo.read("rev-list", "--first-parent", "--ancestry-path", "--end-of-options", f"{commit}..{head}")
    return (line.decode().split() or [commit])[-1]


def _apply_merge(context: Context, arguments: Arguments, _permit: Permit) -> None:
    into, commit, branch = arguments.text("into"), arguments.text("commit"), arguments.text("branch")
    repo = context.repo
    repo.require(commit)
    message = (f"Merge branch '{branch}' into {into}\n\nRelease {context.product.name} {arguments.text('version')}\n\n"
               f"Pilothouse-Run: {context.run_id or 'none'}\n")  # fmt: skip
    for left in reversed(range(_TRIES)):
        head = repo.head(into)
        if not head:
            raise ToolFailed("branch-missing", f"{into} does not exist on the remote")
        repo.require(head)
        if repo.is_ancestor(commit, head):
            return
        merged = repo.commit(merged_tree(context, head, commit, into), [head, commit], message)
        try:
            repo.push(f"refs/heads/{into}", merged, head)
        except ToolFailed as error:
            if error.reason_code != "ref-moved" or not left:
                raise
        else:
            return


def merged_tree(context: Context, head: str, commit: str, into: str) -> str:
    """The tree of a merge of a commit into a head. Raises ToolFailed("merge-conflict"), naming the files."""
    done = context.repo.run(
        "merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", "--end-of-options", head, commit
    )
    parts = done.stdout.decode("utf-8", "replace").split("\0")
    if done.code == 1:
        names = ", ".join(one_line(part, 80) for part in parts[1:11] if part)
        raise ToolFailed(
            "merge-conflict",
            f"{commit[:12]} does not merge into {into} at {head[:12]}: {names}",
            "Open a pull request from the release branch and resolve it there; nothing was pushed.",
        )
    if done.code or not grammar.is_sha(parts[0].strip()):
        raise ToolFailed(
            "git-failed",
            f"git merge-tree failed: {one_line(done.stderr.decode('utf-8', 'replace'), 300)}",
            "git 2.38 or newer is needed.",
        )
    return parts[0].strip()


# -- tag --------------------------------------------------------------------------------------------------------------


def _tag_refs(arguments: Arguments) -> tuple[str, str]:
    ref = f"refs/tags/{arguments.text('tag')}"
    return ref, f"{ref}^{{}}"


def _pins_tag(context: Context, arguments: Arguments) -> dict[str, str]:
    if "tag" not in arguments:
        return {}
    ref, peeled = _tag_refs(arguments)
    heads = context.repo.heads(ref, peeled)
    return {f"ref:{ref}": heads.get(peeled, heads.get(ref, ""))}


def _probe_tag(context: Context, arguments: Arguments, _key: str) -> Probe:
    ref, peeled = _tag_refs(arguments)
    heads = context.repo.heads(ref, peeled)
    if ref not in heads:
        return Probe(Presence.ABSENT, f"{arguments.text('tag')} does not exist")
    commit = heads.get(peeled, heads[ref])
    if commit != arguments.text("commit"):
        return Probe(
            Presence.CONFLICT, f"{arguments.text('tag')} exists and names {commit[:12]}; a published tag is never moved"
        )
    facts = {"tag": arguments.text("tag"), "object": heads[ref]}
    return Probe(Presence.APPLIED, f"{arguments.text('tag')} names {commit[:12]}", dict(facts), {f"ref:{ref}": commit})


def _apply_tag(context: Context, arguments: Arguments, _permit: Permit) -> None:
    tag, commit, author = arguments.text("tag"), arguments.text("commit"), context.repo.signature
    context.repo.require(commit)
    text = arguments.text("message").replace("\r\n", "\n").strip("\n")
    # Not `git tag`: that would make a ref, too. The date is the run's, so the object's sha is repeatable.
    stamp = context.repo.read("var", "GIT_COMMITTER_IDENT").decode().strip()
    if not stamp.startswith(f"{author.name} <"):
        raise ToolFailed("git-failed", "git does not accept the run's signature")
    if trailer := arguments.text("trailer"):
        text = f"{text or tag}\n\n{trailer.strip()}"
    body = f"object {commit}\ntype commit\ntag {tag}\ntagger {stamp}\n\n{text or tag}\n"
    made = context.repo.read("mktag", stdin=body.encode()).decode().strip()
    context.repo.push(_tag_refs(arguments)[0], made, "")


# -- delete branch ----------------------------------------------------------------------------------------------------


def _probe_deleted(context: Context, arguments: Arguments, _key: str) -> Probe:
    branch, commit = arguments.text("branch"), arguments.text("commit")
    there = context.repo.head(branch)
    if not there:
        return Probe(Presence.APPLIED, f"{branch} does not exist", {}, {f"ref:refs/heads/{branch}": ""})
    if there != commit:
        return Probe(
            Presence.CONFLICT, f"{branch} is at {there[:12]}, not at {commit[:12]}: somebody goes on working there"
        )
    return Probe(Presence.ABSENT, f"{branch} is at {commit[:12]}")


def _apply_delete(context: Context, arguments: Arguments, _permit: Permit) -> None:
    branch, commit, into = arguments.text("branch"), arguments.text("commit"), arguments.text("into")
    if not branch.startswith(f"release/{context.product.name}/"):
        raise ToolFailed(
            "branch-not-ours", f"{branch} is no release branch of {context.product.name}; only those are deleted"
        )
    head = context.repo.head(into)
    if head:
        context.repo.require(head)
        context.repo.require(commit)
    if not head or not context.repo.is_ancestor(commit, head):
        raise ToolFailed(
            "branch-not-merged", f"{into} does not contain {commit[:12]}; {branch} stays", "Merge it first."
        )
    context.repo.push(f"refs/heads/{branch}", "", commit)


TOOLS = (
    Actor(
        acts(
            "git.release_branch",
            "Commit changelog and version files on a release branch and push it.",
            {
                "branch": Argument("ref"), "base": Argument("sha"), "version": Argument("version"),
                "changelog": Argument("text", text_body=True, about="the whole changelog"),
                "date": Argument("text", about="YYYY-MM-DD"),
                "supersedes": Argument("text", required=False, about="where the branch is already, to be built upon"),
            },
            {"sha": "sha", "branch": "ref"},
            effect=EffectClass.KEYED, reach=Reach.WORKSPACE,
        ),
        _probe_branch, _apply_branch, no_pins,
    ),
    Actor(
        acts(
            "git.merge",
            "Merge a commit into a branch of the remote by a merge commit.",
            {
                "branch": Argument("ref"), "into": Argument("ref"), "commit": Argument("sha"),
                "version": Argument("version"),
            },
            {"sha": "sha"},
            effect=EffectClass.KEYED, reach=Reach.PRODUCTION, undoable=False,
        ),
        _probe_merge, _apply_merge, no_pins,
    ),
    Actor(
        acts(
            "git.tag",
            "Publish an annotated tag on a commit.",
            {"tag": Argument("tag"), "commit": Argument("sha"), "message": Argument("text", text_body=True),
                "trailer": Argument("text", required=False, text_body=True, about="where the ledger stands"),
            },
            {"tag": "tag", "object": "sha"},
            effect=EffectClass.KEYED, reach=Reach.PRODUCTION, undoable=False,
        ),
        _probe_tag, _apply_tag, _pins_tag,
    ),
    Actor(
        acts(
            "git.delete_branch",
            "Delete the run's own release branch, once it is merged.",
            {"branch": Argument("ref"), "commit": Argument("sha"), "into": Argument("ref")},
            {},
            effect=EffectClass.KEYED, reach=Reach.WORKSPACE,
        ),
        _probe_deleted, _apply_delete, no_pins,
    ),
)  # fmt: skip
