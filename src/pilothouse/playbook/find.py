"""Where the playbook is: shipped with Pilothouse, overlaid by file name from the user's project. Data only.

The repository being released is untrusted, so what is taken from it is text: a plain file inside the project, of a
bounded size. Code is never loaded from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pilothouse.errors import InvalidFile, UsageError
from pilothouse.playbook.reading import one_known
from pilothouse.yamlfile import MOST_BYTES, decode

FOLDERS = ("agents", "prompts", "workflows")
SHIPPED = "shipped"
PROJECT = "project"


def playbook_root() -> Path:
    """The folder that holds agents/, prompts/ and workflows/: in the wheel, else in the checkout."""
    packaged = Path(__file__).resolve().parents[1] / "_playbook"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Found:
    """One file of the playbook: its name (without its ending), where it is, and whose it is.

    ``shown`` is what errors call it: ``workflows/release.yml`` in both cases, relative to its root.
    """

    name: str
    path: Path
    shown: str
    origin: str

    def text(self) -> str:
        """What it says. Raises InvalidFile."""
        try:
            with self.path.open("rb") as file:
                return decode(file.read(MOST_BYTES + 1), self.shown)
        except OSError as error:
            raise InvalidFile(self.shown, 0, f"cannot be read: {error.strerror or 'unknown reason'}") from error


def list_workflows(folder: Path | None = None) -> tuple[Found, ...]:
    """The workflows there are, by name; those of the project at ``folder`` replace shipped ones. Raises InvalidFile."""
    return _listed("workflows", ".yml", folder)


def list_personas(folder: Path | None = None) -> tuple[Found, ...]:
    """The personas there are, by name; those of the project replace shipped ones. Raises InvalidFile."""
    return _listed("agents", ".md", folder)


def find_workflow(name: str, folder: Path | None = None) -> Found:
    """One workflow.

    Raises:
        UsageError: ``unknown-workflow``, with the nearest name there is.
        InvalidFile: a file of the overlay is a link out of the project.
    """
    found = {workflow.name: workflow for workflow in list_workflows(folder)}
    if name not in found:
        raise UsageError("unknown-workflow", f"there is no workflow {name[:60]!a}", one_known(name, found))
    return found[name]


def load_templates(folder: Path | None = None) -> Mapping[str, str]:
    """Every prompt template by its name relative to prompts/ (``briefs/readiness.md.j2``). Raises InvalidFile."""
    found = _overlaid("prompts", ".j2", folder, deep=True)
    return {name: file.text() for name, file in sorted(found.items())}


def _listed(kind: str, ending: str, folder: Path | None) -> tuple[Found, ...]:
    found = _overlaid(kind, ending, folder, deep=False)
    return tuple(found[name] for name in sorted(found))


def _overlaid(kind: str, ending: str, folder: Path | None, *, deep: bool) -> dict[str, Found]:
    found = _files(playbook_root(), kind, ending, SHIPPED, deep=deep)
    if folder is not None and folder.resolve() != playbook_root():
        found |= _files(folder, kind, ending, PROJECT, deep=deep)
    return found


def _files(root: Path, kind: str, ending: str, origin: str, *, deep: bool) -> dict[str, Found]:
    top = root / kind
    if not top.is_dir():
        return {}
    found: dict[str, Found] = {}
    for path in sorted(top.rglob(f"*{ending}") if deep else top.glob(f"*{ending}")):
        inner = path.relative_to(top).as_posix()
        name = inner if deep else inner.removesuffix(ending)
        shown = f"{kind}/{inner}"
        if origin == PROJECT and not path.resolve().is_relative_to(root.resolve()):
            raise InvalidFile(shown, 0, "is a link that leaves the project", "put the file itself there")
        if path.is_file() and not inner.startswith("."):
            found[name] = Found(name, path, shown, origin)
    return found
