"""What goes into the wheel, told from pyproject.toml and git alone; .ci/wheel.py builds one and ships with it."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from pilothouse import inventory
from pilothouse.playbook.find import FOLDERS, playbook_root

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BUILD = PROJECT["tool"]["hatch"]["build"]["targets"]
FORCED = BUILD["wheel"]["force-include"]


def ignored(paths):
    """Those that git ignores: hatchling leaves them out of a wheel without a word."""
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=ROOT,
        input="\n".join(paths),
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="needs the checkout's git")
def test_git_ignores_nothing_that_the_wheel_must_hold():
    folders = [*BUILD["wheel"]["packages"], *FORCED]
    files = [
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert len(files) > 100
    assert ignored(files) == []


def test_the_playbook_is_put_where_the_program_looks_for_it():
    assert playbook_root() == ROOT  # from the checkout; the wheel has _playbook beside the package instead
    assert {Path(target).name: Path(target).parent.as_posix() for target in FORCED.values()} == dict.fromkeys(
        FOLDERS, "pilothouse/_playbook"
    )
    assert set(FORCED) == set(FOLDERS)
    assert all(item.sound for item in (*inventory.workflows(None), *inventory.personas(None)))


def test_data_files_and_the_mark_of_types_lie_within_the_packages():
    package = ROOT / "src" / "pilothouse"
    assert (package / "py.typed").is_file()
    assert {path.name for path in (package / "schemas").glob("*.json")} >= {
        "pilothouse.schema.json",
        "persona.schema.json",
    }
    assert (package / "harbour" / "acme" / "app" / "server.py").is_file()


def test_what_the_metadata_names_is_there():
    project = PROJECT["project"]
    assert (ROOT / project["readme"]).read_text(encoding="utf-8").startswith("# Pilothouse\n")
    assert all((ROOT / name).is_file() for name in project["license-files"])
    for name in BUILD["sdist"]["include"]:
        assert (ROOT / name.removeprefix("/")).exists(), name
    module, _, function = project["scripts"]["pilothouse"].partition(":")
    assert f"def {function}(" in (ROOT / "src" / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
