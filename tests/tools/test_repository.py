"""The scratch repository: hardened, private, and blind to what the clone's configuration would run."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from pilothouse.errors import ToolFailed


def test_nothing_that_the_clones_configuration_names_ever_runs(small, do):
    trap = small.folder / "trap.sh"
    trap.write_text(f'#!/bin/sh\necho "$0 $*" >> {small.folder}/sprung\ncat\n')
    trap.chmod(0o755)
    hooks = small.clone / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("pre-push", "reference-transaction", "post-checkout", "post-index-change", "pre-commit"):
        (hooks / name).write_text(trap.read_text())
        (hooks / name).chmod(0o755)
    for key in ("core.fsmonitor", "core.sshCommand", "filter.evil.clean", "filter.evil.smudge", "diff.external", "core.pager",
                "uploadpack.packObjectsHook", "remote.origin.uploadpack", "remote.origin.receivepack", "credential.helper",
                "merge.evil.driver", "gpg.program", "core.alternateRefsCommand", "core.editor", "alias.log"):  # fmt: skip
        small.git("config", key, str(trap))
    (small.clone / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    sha = small.commit("feat: hostile", {})
    (small.folder / "sprung").unlink(missing_ok=True)
    small.git("push", "-q", str(small.origin), "main:refs/heads/main", "--no-verify", "--receive-pack=git-receive-pack")
    (small.folder / "sprung").unlink(missing_ok=True)
    arguments = {
        "branch": "release/acme/v1.4.0",
        "base": sha,
        "version": "1.4.0",
        "changelog": "x\n",
        "date": "2026-11-21",
    }
    _, done = do(small.toolbox(), "git.release_branch", arguments)
    do(
        small.toolbox(),
        "git.merge",
        {"branch": "release/acme/v1.4.0", "into": "main", "commit": done.facts["sha"], "version": "1.4.0"},
    )
    small.toolbox().observe("git.contents", {"from": small.released, "to": sha})
    folder = small.folder / "out"
    folder.mkdir()
    small.context().repo.check_out(sha, folder)
    assert (folder / "package.json").exists()
    assert not (small.folder / "sprung").exists()


def test_a_commit_that_is_only_on_the_remote_is_fetched_without_a_trace_in_the_clone(small):
    other = small.folder / "other"
    small.git("clone", "-q", str(small.origin), str(other), cwd=small.folder)
    (other / "new.txt").write_text("new")
    small.git("add", "-A", cwd=other)
    small.git("commit", "-q", "-m", "feat: elsewhere", cwd=other)
    small.git("push", "-q", "origin", "HEAD:refs/heads/elsewhere", cwd=other)
    sha, before = small.head("elsewhere"), small.untouched()
    assert small.context().repo.file(sha, "new.txt") == b"new"
    assert small.untouched() == before


def test_only_refs_of_exactly_that_name_are_meant(small):
    small.push("main", "decoy/refs/heads/main")
    assert small.context().repo.heads("refs/heads/main") == {"refs/heads/main": small.released}


def test_a_commit_that_nobody_has_is_unknown(small):
    with pytest.raises(ToolFailed) as refused:
        small.context().repo.require("d" * 40)
    assert refused.value.reason_code == "commit-unknown"


def test_a_shallow_clone_has_its_whole_history_fetched(small):
    sha = small.commit("feat: more", {"b": "1"})
    small.push("main")
    shallow = small.folder / "shallow"
    small.git("clone", "-q", "--depth=1", f"file://{small.origin}", str(shallow), cwd=small.folder)
    box = small.toolbox(project=shallow, scratch="s2")
    assert box.observe("git.contents", {"from": small.released, "to": sha}).facts["commits"] == 1


def test_a_linked_worktree_is_a_clone_too(small):
    tree = small.folder / "tree"
    small.git("worktree", "add", "-q", "-b", "side", str(tree))
    assert small.context(project=tree, scratch="s2").repo.head("main") == small.released


@pytest.mark.parametrize("url", ["ext::sh -c evil", "fd::1", "-oProxyCommand=evil", "--upload-pack=evil", "ssh://-oProxyCommand=x/y",
                                 "host:-x", "-host:path", "https://a\tb"])  # fmt: skip
def test_a_remote_url_that_could_run_something_is_refused(small, url):
    small.git("config", "remote.origin.url", url)
    with pytest.raises(ToolFailed) as refused:
        small.context().repo.heads("refs/heads/main")
    assert refused.value.reason_code == "remote-refused"


def test_a_token_in_the_remotes_url_is_in_no_argument_and_no_message(small, tmp_path):
    recorded = tmp_path / "bin"
    recorded.mkdir()
    real = next(p for p in os.environ["PATH"].split(":") if os.access(f"{p}/git", os.X_OK))
    (recorded / "git").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/argv\nexec {real}/git "$@"\n')
    (recorded / "git").chmod(0o755)
    small.git("config", "remote.origin.url", "http://user:s3cret-token@127.0.0.1:1/x.git")
    environ = {**small.environ, "PATH": f"{recorded}:{os.environ['PATH']}"}
    with pytest.raises(ToolFailed) as failed:
        small.context(environ=environ).repo.heads("refs/heads/main")
    assert "s3cret" not in f"{failed.value.message} {failed.value.detail} {failed.value.hint}"
    assert "s3cret" not in (tmp_path / "argv").read_text()


def test_a_remote_that_is_not_configured_is_named(small):
    small.git("remote", "remove", "origin")
    with pytest.raises(ToolFailed) as refused:
        small.context().repo.heads("refs/heads/main")
    assert refused.value.reason_code == "remote-not-configured"


def test_a_scratch_folder_that_others_may_write_to_is_refused(small):
    folder = small.context().scratch
    folder.chmod(0o777)
    with pytest.raises(ToolFailed) as refused:
        small.context()
    assert refused.value.reason_code == "scratch-not-private"


def test_a_checkout_has_every_file_even_those_that_archives_leave_out(small, tmp_path):
    (small.clone / ".gitattributes").write_text("tests export-ignore\nversion.txt export-subst\n")
    sha = small.commit("feat: attributes", {"tests/t.py": "t", "version.txt": "$Format:%H$"})
    folder = tmp_path / "out"
    folder.mkdir()
    small.context().repo.check_out(sha, folder)
    assert (folder / "tests/t.py").exists()
    assert (folder / "version.txt").read_text() == "$Format:%H$"
    assert os.access(folder / "run.sh", os.R_OK)


def test_children_of_git_do_not_see_the_conductors_environment(small):
    seen = small.folder / "seen"
    small.hook("pre-receive", f"env > {seen}; exit 1")
    repo = small.context().repo
    with pytest.raises(ToolFailed):
        repo.push("refs/heads/x", small.released, "")
    assert "do-not-pass-on" not in seen.read_text()


def test_conductors_that_begin_at_once_share_one_scratch_repository_that_is_never_half_made(small):
    sha = small.head("main")
    for _ in range(4):
        shutil.rmtree(small.context().repo.folder, ignore_errors=True)
        with ThreadPoolExecutor(8) as pool:
            sizes = pool.map(lambda _: small.context().repo.file(sha, "package.json"), range(16))
        assert len(set(sizes)) == 1
    left = [path.name for path in small.context().repo.scratch.iterdir() if path.name.startswith("repository-")]
    assert left == []


def test_the_alternates_are_exchanged_as_a_whole_and_only_where_they_changed(small):
    small.context().repo.prepare()
    file = small.context().repo.folder / "objects" / "info" / "alternates"
    first = file.stat()
    small.context().repo.prepare()
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    file.write_text("/elsewhere\n")
    with file.open(encoding="utf-8") as reader:  # another conductor's git, in the middle of its reading
        small.context().repo.prepare()
        assert reader.read() == "/elsewhere\n"
    assert file.read_text(encoding="utf-8") == f"{small.clone}/.git/objects\n"


def test_a_folder_in_the_place_of_the_scratch_repository_is_a_refusal_with_a_hint(small):
    folder = small.context().repo.folder
    (folder / "something").mkdir(parents=True)
    with pytest.raises(ToolFailed, match="in the way") as refused:
        small.context().repo.prepare()
    assert "remove it" in refused.value.hint
