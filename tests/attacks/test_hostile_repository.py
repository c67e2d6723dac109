"""What a hostile repository can do: nothing of it runs, and each ends in a clean result or a refusal with a reason (I6, I8).

Every payload writes a tripwire. Each case plants one kind of hostility (the clone's configuration, the environment, the
tree, refs, the way to .git) and has every tool that reads or writes the repository work on it. Some that belong together
go through a whole rehearsal and a whole release of the sandbox.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pilothouse import config, doctor
from pilothouse.app import Request, os_user
from pilothouse.errors import InvalidFile, PilothouseError, ToolFailed, UsageError
from pilothouse.project import find_project
from pilothouse.settings import Suite
from shipping import refs, ship

_file = Path(__file__).resolve().parents[1] / "tools" / "conftest.py"
_spec = importlib.util.spec_from_file_location("small_world_of_the_tools", _file)
tools = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tools)

WHO = os_user("test")
BRANCH = "release/acme/v1.4.0"
HOOKS = (
    "pre-push", "post-checkout", "post-index-change", "pre-commit", "post-commit", "post-merge", "reference-transaction",
    "pre-auto-gc", "fsmonitor-watchman", "applypatch-msg", "commit-msg", "prepare-commit-msg", "post-rewrite", "sendemail-validate",
    "pre-merge-commit", "update", "pre-receive", "post-receive", "proc-receive", "push-to-checkout",
)  # fmt: skip


class Trap:
    """A program that leaves a mark wherever it is run from, and its other shapes."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.mark = folder, folder / "sprung"
        self.program = folder / "trap.sh"
        self.write(self.program)
        self.shell = f"sh -c 'echo sprung >> {self.mark}'"

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.mark}\nexit 0\n')
        path.chmod(0o755)

    def sprung(self):
        return self.mark.read_text() if self.mark.exists() else ""


@pytest.fixture
def small(tmp_path):
    world = tools.Small(tmp_path)
    yield world
    world.served.close()


@pytest.fixture
def trap(tmp_path):
    return Trap(tmp_path / "trap")


def attempt(outcomes, name, call):
    """A result, or a refusal that a person can read; anything else is a bug and rises."""
    try:
        outcomes[name] = call()
    except PilothouseError as refused:
        outcomes[name] = refused
        told = refused
    else:
        return
    assert told.reason_code
    assert "Traceback" not in told.message
    assert told.message.replace("\n", "").isprintable()


def work(small, sha, environ=None, project=None):
    """Every tool that has to do with the repository, on a commit; the outcome of each."""
    small.environ = {**small.environ, **(environ or {})}
    product = replace(small.product, suites={"ls": Suite(("python3", "-c", "print('Ran 1 test in 0s')"), 60)})
    try:
        box = small.toolbox(product, project=project or small.clone)
    except PilothouseError as refused:
        return {"context": refused}
    old, out = small.released, {}
    looks = {
        "git.base": {}, "git.contents": {"from": old, "to": sha}, "git.touched": {"from": old, "to": sha},
        "git.secrets": {"from": old, "to": sha}, "git.file": {"sha": sha, "path": "CHANGELOG.md"},
        "changelog.unreleased": {"sha": sha}, "tests.run": {"suite": "ls", "sha": sha},
    }  # fmt: skip
    for name, arguments in looks.items():
        attempt(out, name, lambda name=name, arguments=arguments: box.observe(name, arguments))
    text = "# Changelog\n\n## [1.4.0] - 2026-11-21\n"
    acts = {
        "git.release_branch": {
            "branch": BRANCH, "base": sha, "version": "1.4.0", "changelog": text, "date": "2026-11-21",
        },
        "git.merge": {"branch": BRANCH, "into": "main", "commit": sha, "version": "1.4.0"},
        "git.tag": {"tag": "v1.4.0", "commit": sha, "message": "Acme 1.4.0"},
        "deploy.apply": {"environment": "staging", "commit": sha, "version": "1.4.0"},
    }  # fmt: skip
    for name, arguments in acts.items():
        attempt(out, name, lambda name=name, arguments=arguments: act(box, name, arguments))
    return out


def act(box, name, arguments):
    box.probe(name, arguments, "k-1")
    box.apply(name, arguments, tools.permit(name, arguments))
    return box.verify(name, arguments, "k-1")


def went(outcomes):
    """The tools that did their work."""
    return {name for name, item in outcomes.items() if not isinstance(item, PilothouseError)}


def refusals(outcomes):
    return {item.reason_code for item in outcomes.values() if isinstance(item, PilothouseError)}


READ = {"git.base", "git.contents", "git.touched", "git.secrets", "git.file", "changelog.unreleased", "tests.run"}
ALL = READ | {"git.release_branch", "git.merge", "git.tag"}


def next_commit(small, **files):
    sha = small.commit("feat: something (#7)", files or {"feature.txt": "1\n"})
    small.push("main")
    return sha


def test_the_trap_works(trap, small):
    """What is planted here does run where git is called as people call it."""
    small.git("config", "core.fsmonitor", str(trap.program))
    small.git("status")
    assert trap.sprung()


# --- the clone's own configuration ------------------------------------------------------------------------------------

CONFIGURED = (
    "core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass", "core.gitProxy",
    "core.alternateRefsCommand", "core.virtualFilesystem", "diff.external", "diff.evil.command", "diff.evil.textconv",
    "filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "merge.evil.driver", "credential.helper",
    "gpg.program", "gpg.ssh.program", "gpg.x509.program", "gpg.ssh.defaultKeyCommand", "uploadpack.packObjectsHook",
    "remote.origin.uploadpack", "remote.origin.receivepack", "remote.upstream.uploadpack", "remote.upstream.receivepack",
    "sequence.editor", "trailer.see.command", "trailer.see.cmd", "interactive.diffFilter", "pager.log", "pager.diff-tree",
    "pager.ls-remote", "alias.log", "alias.ls-remote", "alias.push", "alias.upload-pack", "browser.web.cmd",
    "man.less.cmd", "submodule.evil.update", "difftool.evil.cmd", "mergetool.evil.cmd", "http.sslCertPasswordProtected",
    "blame.ignoreRevsFile", "core.attributesFile", "log.mailmap", "mailmap.file", "core.excludesFile", "init.templateDir",
)  # fmt: skip
SWITCHED = {
    "commit.gpgSign": "true", "tag.gpgSign": "true", "push.gpgSign": "true", "log.showSignature": "true",
    "protocol.ext.allow": "always", "protocol.allow": "always", "submodule.recurse": "true", "filter.evil.required": "true",
    "fetch.recurseSubmodules": "true", "push.recurseSubmodules": "on-demand", "core.sparseCheckout": "true",
    "extensions.worktreeConfig": "true", "core.autocrlf": "true", "core.symlinks": "true", "core.protectNTFS": "false",
    "core.protectHFS": "false", "safe.bareRepository": "all", "receive.denyCurrentBranch": "ignore", "gc.auto": "1",
    "maintenance.auto": "true", "fetch.writeCommitGraph": "true", "merge.renormalize": "true", "diff.noprefix": "true",
}  # fmt: skip


def test_nothing_that_the_clones_configuration_names_runs(small, trap):
    sha = next_commit(small, **{".gitattributes": "* filter=evil diff=evil merge=evil\n", "a.txt": "1\n"})
    for name in CONFIGURED:
        small.git(
            "config", name, f"!{trap.program}" if name.startswith(("alias.", "submodule.")) else str(trap.program)
        )
    for name, value in SWITCHED.items():
        small.git("config", name, value)
    outcomes = work(small, sha)
    assert trap.sprung() == ""
    assert went(outcomes) >= ALL, {name: str(item) for name, item in outcomes.items()}


def test_no_hook_runs_wherever_it_lies(small, trap):
    sha = next_commit(small)
    elsewhere = trap.folder / "hooks"
    for folder in (
        small.clone / ".git" / "hooks",
        elsewhere,
        small.clone / "hooks",
        trap.folder / "template" / "hooks",
    ):
        for name in HOOKS:
            trap.write(folder / name)
    small.git("config", "core.hooksPath", str(elsewhere))
    assert went(work(small, sha, {"GIT_TEMPLATE_DIR": str(trap.folder / "template")})) >= ALL
    assert trap.sprung() == ""


@pytest.mark.parametrize("key", ["insteadOf", "pushInsteadOf"])
def test_the_remote_is_the_one_that_is_configured_whatever_is_put_in_its_place(small, trap, key):
    sha = next_commit(small)
    other = small.folder / "thief.git"
    small.git("init", "-q", "--bare", str(other), cwd=small.folder)
    small.git("config", f"url.ext::{trap.shell} .{key}", str(small.origin))
    small.git("config", f"url.{other}.{key}", str(small.origin)[:-4])
    small.git("config", "remote.origin.pushurl", str(other))
    small.git("config", "remote.pushDefault", "thief")
    outcomes = work(small, sha)
    assert went(outcomes) >= ALL
    assert small.head(BRANCH)
    assert small.git("for-each-ref", cwd=other) == ""
    assert trap.sprung() == ""


@pytest.mark.parametrize("how", ["include.path", "includeIf.gitdir:/.path", "config.worktree"])
def test_no_other_configuration_is_drawn_in(small, trap, how):
    sha = next_commit(small)
    evil = trap.folder / "evil.config"
    evil.write_text(
        f"[core]\n\tfsmonitor = {trap.program}\n\tsshCommand = {trap.program}\n\thooksPath = {trap.folder}\n"
        f'[remote "origin"]\n\turl = ext::{trap.shell}\n[protocol]\n\tallow = always\n'
    )  # fmt: skip
    if how == "config.worktree":
        small.git("config", "extensions.worktreeConfig", "true")
        shutil.copy(evil, small.clone / ".git" / "config.worktree")
    else:
        small.git("config", how, str(evil))
    assert went(work(small, sha)) >= ALL
    assert trap.sprung() == ""


URLS = (
    "ext::{shell}", "ext::{program} %S", "EXT::{shell}", "--upload-pack={program}", "-u{program}", "ssh://-oProxyCommand={program}/x",
    "-oProxyCommand={program}:x", "ssh://host.invalid/--upload-pack={program}", "git@-oProxyCommand={program}:x", "fd::17", "testgit::{shell}",
    "file:///tmp/x\next::{shell}", "persistent-https://x", "http::{shell}", "transport::{shell}", "", " {program}",
    "ssh://host.invalid:`{program}`/x", "!{program}", "|{program}",
)  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_would_run_something_is_refused_or_reaches_nobody(small, trap, url):
    sha = next_commit(small)
    small.git("config", "--replace-all", "remote.origin.url", url.format(shell=trap.shell, program=trap.program))
    small.git("config", "protocol.ext.allow", "always")
    outcomes = work(small, sha)
    assert trap.sprung() == ""
    assert "git.base" not in went(outcomes)
    # Refused by its form, before git has a say; what has a good form leads to nobody.
    unreachable = {"remote-unreachable"} if url.startswith(("ssh://host.invalid", "file:///")) else set()
    assert refusals(outcomes) <= {"remote-refused", "remote-not-configured"} | unreachable


# --- the environment --------------------------------------------------------------------------------------------------


def hostile_environment(trap, small):
    programs = trap.folder / "exec"
    for name in (
        "git-upload-pack",
        "git-receive-pack",
        "git-remote-https",
        "git-remote-ext",
        "git-commit-tree",
        "ssh",
        "git",
    ):
        trap.write(programs / name)
    evil = trap.folder / "evil.config"
    evil.write_text(f"[core]\n\tfsmonitor = {trap.program}\n\thooksPath = {programs}\n\tsshCommand = {trap.program}\n")
    home = trap.folder / "home"
    home.mkdir()
    shutil.copy(evil, home / ".gitconfig")
    (home / "git").mkdir()
    shutil.copy(evil, home / "git" / "config")
    startup = trap.folder / "startup.py"
    startup.write_text(f"open({str(trap.mark)!r}, 'a').write('python')\n")
    return {
        "GIT_SSH_COMMAND": str(trap.program), "GIT_SSH": str(trap.program), "GIT_EXTERNAL_DIFF": str(trap.program),
        "GIT_PAGER": str(trap.program), "PAGER": str(trap.program), "GIT_EDITOR": str(trap.program), "EDITOR": str(trap.program),
        "GIT_SEQUENCE_EDITOR": str(trap.program), "GIT_ASKPASS": str(trap.program), "SSH_ASKPASS": str(trap.program),
        "GIT_PROXY_COMMAND": str(trap.program), "GIT_EXEC_PATH": str(programs), "GIT_CONFIG_GLOBAL": str(evil),
        "GIT_CONFIG_SYSTEM": str(evil), "GIT_CONFIG": str(evil), "GIT_CONFIG_NOSYSTEM": "0", "XDG_CONFIG_HOME": str(home), "HOME": str(home),
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor={trap.program}'", "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": str(trap.program),
        "GIT_TRACE": str(trap.mark), "GIT_TRACE2_EVENT": str(trap.mark), "GIT_TRACE_PACKET": str(trap.mark),
        "GIT_DIR": str(small.folder / "thief.git"), "GIT_WORK_TREE": "/", "GIT_INDEX_FILE": str(trap.mark),
        "GIT_OBJECT_DIRECTORY": str(trap.folder), "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(trap.folder),
        "GIT_NAMESPACE": "evil", "GIT_ATTR_SOURCE": "HEAD", "GIT_ALLOW_PROTOCOL": "ext", "GIT_PROTOCOL_FROM_USER": "1",
        "GIT_TEMPLATE_DIR": str(trap.folder), "GIT_REDIRECT_STDOUT": str(trap.mark), "BASH_ENV": str(trap.program),
        "ENV": str(trap.program), "PYTHONSTARTUP": str(startup), "LD_PRELOAD": "", "GIT_REPLACE_REF_BASE": "refs/evil",
    }  # fmt: skip


def test_no_variable_of_the_environment_reaches_git(small, trap):
    sha = next_commit(small)
    outcomes = work(small, sha, hostile_environment(trap, small))
    assert went(outcomes) >= ALL, {name: str(item) for name, item in outcomes.items()}
    assert trap.sprung() == ""


def test_a_relative_path_entry_lets_the_repository_choose_no_program(small, trap, monkeypatch):
    monkeypatch.chdir(small.clone)  # where people call it
    sha = next_commit(small)
    trap.write(small.clone / "git")
    trap.write(small.clone / "bin" / "git")
    outcomes = work(small, sha, {"PATH": f".:bin::{os.environ['PATH']}"})
    assert went(outcomes) >= ALL
    assert trap.sprung() == ""


# --- the tree ---------------------------------------------------------------------------------------------------------


def plant(small, entries, parent=None, message="feat: planted (#8)"):
    """A commit with tree entries that git's own commands would not make: (mode, path or name, content or sha)."""
    parent = parent or small.git("rev-parse", "HEAD")
    inner = small.git("ls-tree", "-z", parent).encode()
    lines = [line for line in inner.split(b"\0") if line]
    for mode, name, content in entries:
        sha = content
        if mode == "040000":
            sha = _tree(small, content)
        elif mode != "160000":
            data = content if isinstance(content, bytes) else content.encode()
            sha = _git(small, "hash-object", "-w", "--stdin", said=data).decode().strip()
        lines.append(
            f"{mode} {'tree' if mode == '040000' else 'commit' if mode == '160000' else 'blob'} {sha}\t".encode() + name
        )
    tree = (
        _git(small, "mktree", "-z", "--missing", said=b"".join(line + b"\0" for line in _last(lines))).decode().strip()
    )
    sha = _git(small, "commit-tree", tree, "-p", parent, "-F", "-", said=message.encode()).decode().strip()
    small.git("push", "-q", "origin", f"{sha}:refs/heads/main")
    return sha


def _last(lines):
    return list({line.split(b"\t", 1)[1]: line for line in lines}.values())


def _tree(small, entries):
    lines = []
    for mode, name, content in entries:
        sha = (
            _tree(small, content)
            if mode == "040000"
            else _git(small, "hash-object", "-w", "--stdin", said=content.encode()).decode().strip()
        )
        lines.append(f"{mode} {'tree' if mode == '040000' else 'blob'} {sha}\t".encode() + name + b"\0")
    return _git(small, "mktree", "-z", said=b"".join(lines)).decode().strip()


def _git(small, *argv, said=b""):
    done = subprocess.run(
        ["git", *argv], cwd=small.clone, env=small.git_env, input=said, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_attributes_of_the_tree_run_nothing_and_change_nothing(small, trap):
    attributes = (
        "* filter=evil diff=evil merge=evil ident export-subst export-ignore text eol=crlf working-tree-encoding=UTF-16 binary\n"
        "*.json filter=lfs diff=lfs merge=lfs -text\n"
    )
    for key in ("clean", "smudge", "process"):
        small.git("config", f"filter.lfs.{key}", str(trap.program))
    sha = plant(small, [
        ("100644", b".gitattributes", attributes), ("100644", b"ident.txt", "$Id$ $Format:%H$\n"),
        ("100644", b".gitconfig", f"[core]\n\tfsmonitor={trap.program}\n"),
    ])  # fmt: skip
    outcomes = work(small, sha)
    assert went(outcomes) >= READ
    assert trap.sprung() == ""
    folder = small.folder / "out"
    folder.mkdir()
    small.context(scratch="s2").repo.check_out(sha, folder)
    for name in ("package.json", "ident.txt", "app/version.py"):  # to the byte what was committed
        assert (folder / name).read_bytes() == small.context(scratch="s2").repo.file(sha, name)


def test_submodules_are_never_fetched(small, trap):
    modules = "".join(
        f'[submodule "{name}"]\n\tpath = {name}\n\turl = {url}\n\tupdate = !{trap.program}\n'
        for name, url in (
            ("evil", f"ext::{trap.shell}"),
            ("-u", f"--upload-pack={trap.program}"),
            ("../../x", "../../x"),
        )
    )
    sha = plant(
        small, [("100644", b".gitmodules", modules), ("160000", b"evil", "1" * 40), ("160000", b"-u", "2" * 40)]
    )
    assert went(work(small, sha)) >= READ
    assert trap.sprung() == ""


LINKED = (
    ("CHANGELOG.md",), ("package.json",), ("pilothouse.yml", "run.sh"), ("app", "migrations", "tests", "prompts", "agents", "workflows"),
)  # fmt: skip


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../../../../../etc/passwd", "{outside}", ".git", "{outside}/no/such", "CHANGELOG.md"]
)
@pytest.mark.parametrize("names", LINKED, ids=lambda names: names[0])
def test_a_link_out_of_the_tree_is_followed_neither_in_reading_nor_in_writing(small, trap, names, target):
    outside = small.folder / "outside"
    outside.mkdir()
    (outside / "kept").write_text("as it was")
    secret = "the words outside of the tree"
    (outside / "version.py").write_text(f"# {secret}\n")
    sha = plant(small, [("120000", name.encode(), target.format(outside=outside)) for name in names])
    outcomes = work(small, sha)
    assert {file.name: file.read_text() for file in outside.iterdir()} == {
        "kept": "as it was",
        "version.py": f"# {secret}\n",
    }
    assert secret not in str(outcomes)
    assert "root:x:0" not in str(outcomes)
    assert trap.sprung() == ""
    assert {"git.contents", "git.touched", "git.secrets"} <= went(outcomes)


ODD_NAMES = (
    b"--upload-pack=x", b"-oProxyCommand=x", b"--", b"-", b"-rf", b":(glob)**", b":!x", b"!x", b"@{-1}", b"HEAD", b"a\nb",
    b"a\tb", b"\x1b[31mred\x1b[0m", b"a\rb", b"\xff\xfe", b"$(touch x)", b"`touch x`", b"x;touch y", b"x|y", b"*", b"?",
    b"a\xe2\x80\xaeb", "\u202egpj.exe".encode(), b"%00", b"con", b"nul.txt", b"x" * 255, b'"quoted"', b"'", b"\\", b" ",
    b"package.json ", b"PACKAGE.JSON", b"CHANGELOG.MD", b"~", b"~root", b"{names}", b"{{ 7*7 }}", b"<script>alert(1)<script>",
)  # fmt: skip


def test_names_that_look_like_options_or_hold_controls_are_names_and_nothing_else(small, trap):
    body = "odd\n"
    sha = plant(small, [("100644", name, body) for name in ODD_NAMES])
    outcomes = work(small, sha)
    assert went(outcomes) >= ALL, {name: str(item) for name, item in outcomes.items()}
    assert outcomes["git.contents"].facts["files"] == len(ODD_NAMES)
    assert trap.sprung() == ""
    assert not list(small.clone.glob("x"))
    said = str([outcomes[name].facts for name in ("git.contents", "git.secrets", "git.touched")])
    assert "\x1b" not in said


FORBIDDEN = (
    b".git",
    b".GIT",
    b".Git",
    b"git~1",
    b"GIT~1",
    b".git ",
    b".git.",
    b".g\xe2\x80\x8cit",
    b"..",
    b".",
    b".git::$INDEX_ALLOCATION",
)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_tree_that_brings_a_git_folder_of_its_own_is_written_nowhere(small, trap, name):
    hook = f"#!/bin/sh\necho sprung >> {trap.mark}\n"
    inner = [
        ("100644", b"config", f"[core]\n\tfsmonitor = {trap.program}\n\tbare = false\n"),
        ("100644", b"HEAD", "ref: refs/heads/main\n"),
    ]
    inner.append(("040000", b"hooks", [("100755", b"post-checkout", hook), ("100755", b"pre-push", hook)]))
    try:
        sha = plant(small, [("040000", name, inner)])
    except AssertionError:
        pytest.skip("this git does not even make such a tree")
    before = small.untouched()
    outcomes = work(small, sha)
    assert trap.sprung() == ""
    assert small.untouched() == before
    checkouts = small.context(scratch="scratch").scratch / "checkouts"
    assert not checkouts.exists() or list(checkouts.iterdir()) == []
    assert {"git.contents", "git.touched"} <= went(outcomes)


def test_lfs_pointers_are_files_like_others(small, trap):
    for key in ("clean", "smudge", "process"):
        small.git("config", f"filter.lfs.{key}", str(trap.program))
    small.git("config", "lfs.url", f"ext::{trap.shell}")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    sha = plant(small, [
        ("100644", b".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"), ("100644", b"a.bin", pointer),
        ("100644", b".lfsconfig", f"[lfs]\n\turl = ext::{trap.shell}\n"), ("100644", b"package.json", pointer),
    ])  # fmt: skip
    outcomes = work(small, sha)
    assert went(outcomes) >= READ
    assert trap.sprung() == ""


def test_deep_and_wide_trees_and_long_messages_end_in_time(small, trap):
    entries = [("100644", b"f", "x\n")]
    for _ in range(120):
        entries = [("040000", b"d" * 30, entries)]
    wide = [("100644", f"{number:05d}".encode(), "x\n") for number in range(300)]
    message = "feat: " + "long " * 50_000 + "\n\n" + "\x1b[2J\u202e" * 1000
    sha = plant(small, [*[("040000", b"deep", entries)], ("040000", b"wide", wide)], message=message)
    outcomes = work(small, sha)
    assert went(outcomes) >= {"git.base", "git.contents", "git.touched", "git.secrets"}
    assert trap.sprung() == ""
    assert len(str(outcomes["git.contents"].facts)) < 1_000_000
    assert "\x1b" not in str(outcomes["git.contents"].facts)


# --- refs -------------------------------------------------------------------------------------------------------------


def test_refs_that_look_like_options_are_neither_taken_for_ones_nor_for_releases(small, trap):
    sha = next_commit(small)
    names = (
        "tags/--upload-pack=x", "tags/-oProxyCommand=x", "tags/v--help", "tags/v9.9.9;x", "tags/v$(x)", "tags/v1.9.9-rc.1", "tags/v9.9",
        "tags/v9.9.9/x", "heads/--upload-pack=x", "heads/-f", "heads/refs/heads/main", "tags/main", "heads/v1.3.0", "tags/refs/heads/main",
        f"heads/{sha}", "heads/HEAD", "replace/" + sha, "notes/commits", "tags/v\u202e9.9.9", "tags/v9.9.9" + "9" * 200,
    )  # fmt: skip
    for name in names:
        small.git("update-ref", f"refs/{name}", small.released, cwd=small.origin)
        small.git("update-ref", f"refs/{name}", small.released)
    small.git("replace", "-f", sha, small.released)
    outcomes = work(small, sha)
    assert went(outcomes) >= ALL, {name: str(item) for name, item in outcomes.items()}
    assert outcomes["git.base"].facts["to_sha"] == sha
    assert outcomes["git.base"].facts["from_version"] == "0.0.0"
    assert outcomes["git.contents"].facts["commits"] == 1  # no replacement object had a say
    assert trap.sprung() == ""


@pytest.mark.parametrize(
    "value",
    ["--upload-pack=x", "-oProxyCommand=x", "main:refs/heads/evil", "a b", "a\nb", "x..y", "@{u}", "HEAD~1", ":/x"],
)
def test_a_ref_or_path_like_an_option_does_not_come_through_the_door(small, value):
    box = small.toolbox()
    for name, arguments in (
        ("git.tag", {"tag": value, "commit": small.released, "message": "x"}),
        ("git.merge", {"branch": value, "into": "main", "commit": small.released, "version": "1.4.0"}),
        ("git.merge", {"branch": BRANCH, "into": value, "commit": small.released, "version": "1.4.0"}),
        ("deploy.apply", {"environment": "staging", "commit": value, "version": "1.4.0"}),
    ):
        with pytest.raises(ToolFailed) as refused:
            box.apply(name, arguments, tools.permit(name, arguments))
        assert refused.value.reason_code == "bad-argument"


# --- the way to .git --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["file", "link", "commondir"])
def test_a_git_folder_elsewhere_gives_its_objects_and_its_remotes_address_and_no_more(small, trap, how):
    sha = next_commit(small)
    elsewhere = small.folder / "elsewhere.git"
    (small.clone / ".git").rename(elsewhere)
    for name in HOOKS:
        trap.write(elsewhere / "hooks" / name)
    for key in ("core.fsmonitor", "core.sshCommand", "core.hooksPath", "core.pager"):
        small.git("config", "--file", str(elsewhere / "config"), key, str(trap.program), cwd=small.folder)
    if how == "file":
        (small.clone / ".git").write_text(f"gitdir: {elsewhere}\n")
    elif how == "link":
        (small.clone / ".git").symlink_to(elsewhere)
    else:
        (small.clone / ".git").mkdir()
        (small.clone / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        (small.clone / ".git").rename(small.folder / "own")
        (small.folder / "own" / "commondir").write_text(f"{elsewhere}\n")
        (small.clone / ".git").write_text("gitdir: ../own\n")
    assert went(work(small, sha)) >= ALL
    assert trap.sprung() == ""


@pytest.mark.parametrize("what", ["nothing", "noise", "loop", "pipe", "huge", "nul", "list", "surrogate"])
def test_a_git_file_that_leads_nowhere_is_a_refusal(small, what):
    sha = next_commit(small)
    shutil.rmtree(small.clone / ".git")
    mark = small.clone / ".git"
    match what:
        case "nothing":
            mark.write_text("gitdir: /no/such/place\n")
        case "noise":
            mark.write_bytes(os.urandom(3000))
        case "loop":
            mark.write_text("gitdir: .git\n")
        case "pipe":
            os.mkfifo(mark)
        case "huge":
            mark.write_text("gitdir: " + "x" * 2_000_000)
        case "nul":
            mark.write_text("gitdir: a\0b\n")
        case "list":
            mark.write_text("gitdir: a\ngitdir: b\n[core]\n")
        case "surrogate":
            mark.write_bytes(b"gitdir: \xff\xfe\n")
    outcomes = work(small, sha)
    assert went(outcomes) <= {"context"} or not went(outcomes)


def test_alternates_that_the_clone_names_run_nothing(small, trap):
    sha = next_commit(small)
    (small.clone / ".git" / "objects" / "info" / "alternates").write_text(
        f'| {trap.program}\n"{trap.program}"\n$({trap.program})\n# x\n/no/such\n'
    )
    assert went(work(small, sha)) >= ALL
    assert trap.sprung() == ""


# --- pilothouse.yml and the doctor ------------------------------------------------------------------------------------


def test_a_configuration_that_is_a_link_out_of_the_project_is_not_read(tmp_path):
    outside, project = tmp_path / "outside.yml", tmp_path / "project"
    outside.write_text("version: 1\nsecret-of-another-file: hunter2hunter2\n")
    project.mkdir()
    (project / "pilothouse.yml").symlink_to(outside)
    with pytest.raises(InvalidFile) as refused:
        config.load(project)
    assert "link" in refused.value.message
    assert "secret-of-another-file" not in refused.value.message
    (project / "pilothouse.yml").unlink()
    os.mkfifo(project / "pilothouse.yml")
    assert stat.S_ISFIFO((project / "pilothouse.yml").lstat().st_mode)
    with pytest.raises(UsageError):
        find_project(project)


def test_the_doctor_asks_the_remote_without_running_anything_of_the_clone(harbour, trap):
    world = harbour()
    git = ["git", "-C", str(world.project), "config"]
    for key in ("core.fsmonitor", "core.sshCommand", "remote.origin.uploadpack", "core.gitProxy", "credential.helper"):
        subprocess.run([*git, key, str(trap.program)], check=True)
    subprocess.run([*git, f"url.ext::{trap.shell} .insteadOf", str(world.origin)], check=True)
    subprocess.run([*git, "protocol.ext.allow", "always"], check=True)
    environ = {**os.environ, **world.environment, "GIT_SSH_COMMAND": str(trap.program), "GIT_TRACE": str(trap.mark)}
    found = {check.name: check for check in doctor.examine(world.project, environ)}
    assert found["remote"].level == "ok", found["remote"]
    assert trap.sprung() == ""


# --- whole runs -------------------------------------------------------------------------------------------------------


def test_a_whole_rehearsal_and_a_whole_release_of_a_hostile_clone_run_nothing_of_it(harbour, conduct, trap):
    world = harbour(watch_seconds=1.0)
    git = ["git", "-C", str(world.project)]
    for key in CONFIGURED:
        value = f"!{trap.program}" if key.startswith(("alias.", "submodule.")) else str(trap.program)
        subprocess.run([*git, "config", key, value], check=True)
    for key, value in SWITCHED.items():
        subprocess.run([*git, "config", key, value], check=True)
    for name in HOOKS:
        trap.write(world.project / ".git" / "hooks" / name)
    subprocess.run([*git, "config", "core.hooksPath", str(world.project / ".git" / "hooks")], check=True)
    subprocess.run([*git, "config", f"url.ext::{trap.shell} .insteadOf", str(world.origin)], check=True)
    (world.project / ".git" / "info").mkdir(exist_ok=True)
    (world.project / ".git" / "info" / "attributes").write_text("* filter=evil diff=evil merge=evil\n")
    (world.project / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    environ = {
        name: value
        for name, value in hostile_environment(trap, tools_of(world)).items()
        if name not in {"HOME", "LD_PRELOAD"}
    }
    world.environment.update(environ)
    for folder in ("git", "python3", "gh"):
        trap.write(world.project / folder)
    app = conduct(world)
    state, problems = app.rehearse(Request("acme"), WHO)
    assert problems == []
    assert state.plan is not None
    assert trap.sprung() == ""
    assert ship(app).state.standing() == "done"
    assert trap.sprung() == ""
    assert "refs/tags/v1.4.0" in refs(world)


def tools_of(world):
    """What ``hostile_environment`` asks of a world."""

    class Place:
        folder = world.folder

    return Place
