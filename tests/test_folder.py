"""What a commit brings into .pilothouse is never taken for this machine's own (I6, I34)."""

from __future__ import annotations

import os
import subprocess

import pytest

from pilothouse.app import Pilothouse
from pilothouse.errors import RequestRefused
from pilothouse.folder import own_folder, tracked


def git(folder, *arguments):
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / ".pil").write_text("a neighbour")
    (folder / "shop").mkdir()
    git(folder, "add", "-A")
    return folder


def bring(folder, path, *, version=2):
    """Have the index hold a path, as a branch that was checked out would."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("brought")
    git(folder, "add", "-f", path)
    git(folder, "update-index", "--index-version", str(version))


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize(
    "path", [".pilothouse/ledger.db", ".PILOTHOUSE/ledger.db", ".pilothouse/work/x/repository.git/config"]
)
def test_a_folder_that_git_keeps_is_refused_whatever_the_form_of_the_index(clone, path, version):
    assert tracked(clone) == ""
    bring(clone, path, version=version)
    with pytest.raises(RequestRefused, match="keeps") as refused:
        own_folder(clone)
    assert refused.value.reason_code == "folder-not-ours"
    assert "git rm" in refused.value.hint


def test_a_split_index_hides_nothing(clone):
    bring(clone, ".pilothouse/ledger.db")
    git(clone, "update-index", "--split-index")
    assert tracked(clone)


def test_a_product_in_a_folder_has_a_folder_of_its_own(clone):
    bring(clone, "shop/.pilothouse/ledger.db", version=4)
    assert tracked(clone / "shop") == "shop/.pilothouse/ledger.db"
    assert tracked(clone) == ""


def test_a_submodule_and_a_link_in_its_place_are_refused(clone, tmp_path):
    git(clone, "update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},.pilothouse")
    assert tracked(clone) == ".pilothouse"
    git(clone, "rm", "-q", "--cached", ".pilothouse")
    (clone / ".pilothouse").symlink_to(tmp_path)
    with pytest.raises(RequestRefused, match="link"):
        own_folder(clone)


def test_a_linked_worktree_is_asked_about_its_own_index(clone, tmp_path):
    git(clone, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first")
    git(clone, "worktree", "add", "-q", str(tmp_path / "other"), "-b", "other")
    bring(tmp_path / "other", ".pilothouse/ledger.db")
    assert tracked(tmp_path / "other")
    assert tracked(clone) == ""


def test_an_index_that_cannot_be_read_is_no_permission(clone):
    index = clone / ".git" / "index"
    index.write_bytes(index.read_bytes()[:40] + b".pilothouse")
    with pytest.raises(RequestRefused, match="cannot be read"):
        tracked(clone)


def test_no_repository_keeps_nothing(tmp_path):
    assert own_folder(tmp_path) == tmp_path / ".pilothouse"


def test_no_command_opens_a_ledger_that_a_commit_brought(clone):
    bring(clone, ".pilothouse/ledger.db")
    app = Pilothouse(clone, environ=dict(os.environ))
    with pytest.raises(RequestRefused, match="keeps"):
        app.runs()
    with pytest.raises(RequestRefused, match="keeps"):
        _ = app.journal
