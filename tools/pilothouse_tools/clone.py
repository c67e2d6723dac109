"""The user's clone, of which two things are used: where its objects are, and the URL of its remote."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse_tools import child
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SCHEME = re.compile(r"(?:https?|ssh|file)://[^\s-]", re.IGNORECASE)
_SCP = re.compile(r"(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9._-]*:(?!//)[^\s:-]")
_LONGEST_PLACE = 5000  # bytes of a .git file
# Configuration by environment variables: unlike -c it is in no argument list, so a URL with a token is not in `ps`.
CONFIG = {
    "core.hooksPath": "/dev/null", "core.fsmonitor": "false", "core.pager": "cat", "core.attributesFile": "/dev/null",
    "core.sshCommand": "ssh -o BatchMode=yes", "core.autocrlf": "false", "core.quotePath": "false",
    "gc.auto": "0", "maintenance.auto": "false", "advice.detachedHead": "false",
    "protocol.allow": "never", "protocol.file.allow": "always", "protocol.ssh.allow": "always",
    "protocol.https.allow": "always", "protocol.http.allow": "always", "submodule.recurse": "false",
    "i18n.logOutputEncoding": "UTF-8", "i18n.commitEncoding": "UTF-8", "log.showSignature": "false",
    "commit.gpgSign": "false", "tag.gpgSign": "false", "push.gpgSign": "false", "push.followTags": "false",
    "diff.renames": "false", "merge.renames": "true", "merge.conflictStyle": "merge",
}  # fmt: skip
# Every git child starts from here: nothing of the machine's or the user's configuration, and no questions.
BARE = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_PAGER": "cat",
    "GIT_ADVICE": "0",
}


def as_environ(config: Mapping[str, str]) -> dict[str, str]:
    """Configuration as the environment variables by which git takes it."""
    environ = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        environ[f"GIT_CONFIG_KEY_{number}"] = key
        environ[f"GIT_CONFIG_VALUE_{number}"] = value
    return environ


def remote_url(project: Path, remote: str, environ: Mapping[str, str]) -> str:
    """The URL of a remote, from the clone's own configuration file alone.

    Raises:
        ToolFailed: ``remote-not-configured``, ``remote-refused``.
    """
    top, common = locate(project)
    # --file reads one file: no includes, no global configuration, nothing that runs.
    argv = ["git", "config", "--file", str(common / "config"), "--no-includes", "--get-all", f"remote.{remote}.url"]
    done = child.run(argv, cwd=common, env={**environ, **BARE}, timeout=60)
    urls = done.stdout.decode("utf-8", "replace").split("\n")[:-1]
    if len(urls) != 1:
        raise ToolFailed(
            "remote-not-configured",
            f"{project} has {len(urls)} URLs for the remote {remote!r}, not one",
            f"git remote add {remote} URL, or name another remote in pilothouse.yml",
        )
    return _checked_url(urls[0], top)


def alternates(project: Path) -> str:
    """What the scratch repository's file of alternates holds: the clone's objects, where they are all there."""
    _, common = locate(project)
    if "\n" in str(common):
        raise ToolFailed("git-failed", "the clone's path holds a line break")
    # A shallow or partial clone lacks objects without saying so to others: then everything is fetched instead.
    partial = (common / "shallow").exists() or any((common / "objects" / "pack").glob("*.promisor"))
    return "" if partial else f"{common / 'objects'}\n"


def locate(project: Path) -> tuple[Path, Path]:
    """The clone's top folder and its common git folder, found without running anything in it."""
    for top in (project, *project.parents):
        mark = top / ".git"
        if mark.is_dir():
            return top, mark
        if mark.is_file():  # a linked worktree or a submodule
            own = _led(mark, top, "gitdir:")
            common = own / "commondir"
            return top, _led(common, own) if common.is_file() else own
    raise ToolFailed(
        "not-a-repository", f"{project} is no git clone", "Run pilothouse in a clone, or name it with --project."
    )


def checked_out(project: Path) -> str:
    """The branch that a clone has checked out, or the commit where it has none (a detached HEAD, as in CI).

    Raises:
        ToolFailed: ``not-a-repository``.
    """
    top, _ = locate(project)
    mark = top / ".git"
    own = mark if mark.is_dir() else _led(mark, top, "gitdir:")
    try:
        with (own / "HEAD").open("rb") as file:
            said = os.fsdecode(file.read(_LONGEST_PLACE)).strip()
    except OSError as error:
        raise ToolFailed("not-a-repository", f"{own}/HEAD cannot be read", "Look at that file; clone anew.") from error
    return said.removeprefix("ref: refs/heads/")


def _led(mark: Path, base: Path, prefix: str = "") -> Path:
    """Where a file that git leaves in the place of a folder leads to. Raises ToolFailed("not-a-repository")."""
    try:
        with mark.open("rb") as file:
            line = file.read(_LONGEST_PLACE + 1)
        place = os.fsdecode(line).removeprefix(prefix).strip()
        if place and len(line) <= _LONGEST_PLACE and place.isprintable():
            led = (base / place).resolve()
            if led.is_dir():
                return led
    except (OSError, ValueError, RuntimeError):  # not to be read, a NUL in it, a loop of links
        pass
    raise ToolFailed("not-a-repository", f"{mark} does not lead to a git folder", "Look at that file; clone anew.")


def _checked_url(url: str, top: Path) -> str:
    """The URL where its form is one that git cannot be made to run something by (no ``ext::``, no option-like host)."""
    if url.isprintable() and (_SCHEME.match(url) or url.startswith("/")):
        return url
    if url.isprintable() and _SCP.match(url):
        return url
    if url.startswith(("./", "../")) and url.isprintable():
        return str((top / url).resolve())
    raise ToolFailed("remote-refused", f"the remote's URL {one_line(url, 80)!r} is none that Pilothouse follows",
                     "Use an https, ssh or file URL.")  # fmt: skip
