"""What a tool may know: one product's settings, its clone, the clock, an environment of which children see little."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.redaction import credential_names
from pilothouse_tools.clone import locate
from pilothouse_tools.repository import Repository
from pilothouse_tools.scratch import Signature
from pilothouse_tools.text import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pilothouse.canonical import Json
    from pilothouse.ports import Clock
    from pilothouse.settings import Environment, Product

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ")


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that is handed to a tool.

    Args:
        product: the product's settings.
        project: the user's clone; it is read, never changed.
        environ: the conductor's environment; children receive an allow-listed part of it.
        clock: time.
        templates: file name in prompts/ to Jinja2 source.
        scratch: where to make a private folder, one a project, for the scratch repository, checkouts and the children's
            home; the attribute is that private folder.
        run_id: the run, or empty.
        started_at: ISO 8601 UTC; author and committer date of every commit the run makes, so that shas are repeatable.
        author: name and address of those commits.
        redact: takes out what the whole project holds; the values of this product's credentials are added to it.
        answers: how the manual checks were answered for a commit: id, answer, who, at, note.
        allowed_secrets: the fingerprints of findings that the text of a pilothouse.yml allows.
        signatures: whether approvals may be signed here, so that ssh-keygen is needed.
    """

    product: Product
    project: Path
    environ: Mapping[str, str]
    clock: Clock
    templates: Mapping[str, str]
    scratch: Path
    run_id: str
    started_at: str
    author: tuple[str, str] = ("Pilothouse", "pilothouse@localhost")
    signatures: bool = False
    answers: Callable[[str], Sequence[Mapping[str, Json]]] = lambda _sha: ()
    allowed_secrets: Callable[[str], frozenset[str]] = lambda _configuration: frozenset()
    redact: Redactor = field(default_factory=lambda: Redactor(()))
    repo: Repository = field(init=False)

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # frozen: derived once, here
        set_field(self, "scratch", _private(self.scratch, self.project))
        signature = Signature(*self.author, self.started_at)
        ssh = {"SSH_AUTH_SOCK": sock} if (sock := self.environ.get("SSH_AUTH_SOCK")) else {}
        token = self.environ.get(self.product.remote_token, "") if self.product.remote_token else ""
        repo = Repository(
            self.project, self.product.remote, self.scratch, {**self.child_environ(), **ssh}, signature, token
        )
        set_field(self, "repo", repo)
        own = ((name, self.environ.get(name, "")) for name in credential_names(self.product))
        set_field(self, "redact", self.redact.also(own))

    def child_environ(self, *names: str, home: Path | None = None) -> dict[str, str]:
        """The environment of a child: an allow-list, a home, and the named variables where they are set.

        Args:
            names: of the variables that this child receives beyond the allow-list.
            home: its own; where none is given, one for git alone, which reads no configuration from it.
        """
        home = home or self.scratch / "home"
        home.mkdir(parents=True, exist_ok=True)
        chosen = {name: self.environ[name] for name in (*_PASSED_ON, *names) if name in self.environ}
        # A checkout lies below the user's clone: git in a child must not find that clone's repository above it.
        return {**chosen, "HOME": str(home), "TMPDIR": str(home), "GIT_CEILING_DIRECTORIES": str(self.scratch)}

    def environment(self, name: str) -> Environment:
        """The settings of one environment. Raises ToolFailed("bad-argument")."""
        try:
            return self.product.environments[name]
        except KeyError:
            known = ", ".join(self.product.environments) or "none"
            raise ToolFailed(
                "bad-argument", f"{self.product.name} has no environment {name!r} (there is {known})"
            ) from None

    @property
    def configuration_path(self) -> str:
        """The path of pilothouse.yml within the repository."""
        folder = self.project.resolve()
        top, _ = locate(folder)
        return (folder / "pilothouse.yml").relative_to(top).as_posix()

    def in_product(self, path: str) -> str:
        """A path of the product as a path of the repository (monorepo)."""
        folder = self.product.path.strip("/")
        return path if folder in {"", "."} else f"{folder}/{path}"


def _private(parent: Path, project: Path) -> Path:
    """A folder that only this user can write to, even where its parent is shared (/tmp).

    Raises:
        ToolFailed: ``scratch-not-private``: somebody else made it, or may write to it.
    """
    mark = hashlib.sha256(os.fsencode(project.resolve())).hexdigest()[:12]
    folder = parent.absolute() / f"pilothouse-{os.getuid()}-{mark}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ToolFailed("scratch-not-private", f"{folder} is not this user's alone", "Remove it, or set TMPDIR.")
    return folder
