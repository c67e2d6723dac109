"""What the documents say is so: links lead somewhere, examples are accepted, commands, codes and files exist."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pilothouse import approvalfile, config, errors, inventory, reasons
from pilothouse.doctor import BAD, examine
from pilothouse.playbook.workflow import parse

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
PROSE = [page for page in PAGES if page.name not in {"cli.md", "reason-codes.md"}]  # those two are generated
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(page):
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return _LINK.findall(re.sub(r"`[^`]*`", "", text))


def fenced(page, *languages):
    return [text for language, text in _FENCE.findall(page.read_text(encoding="utf-8")) if language in languages]


def anchors(page):
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


# --- links ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page):
    for target in links(page):
        if target.startswith(("https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), f"{page.name}: {target}"
        assert found.is_relative_to(ROOT), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(found), f"{page.name}: {target}"


def test_the_readme_lists_every_document():
    listed = set(links(ROOT / "README.md"))
    pages = {page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").glob("*.md")}
    assert pages <= listed


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_files_of_the_code_that_are_named_exist(page):
    """``engine/perform.py`` and the like, wherever under src/, tools/ or the root."""
    for named in re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|yml|md|j2))`", page.read_text(encoding="utf-8")):
        if re.search(r"[A-Z]{4}", named) or named in {"agents/security-engineer.md", "workflows/staging.yml"}:
            continue  # NAME stands for any; the others are what the reader is to write
        places = [ROOT, ROOT / "src" / "pilothouse", ROOT / "tools", ROOT / "tools" / "pilothouse_tools"]
        assert any((place / named).exists() for place in places), f"{page.name}: {named}"


# --- examples -------------------------------------------------------------------------------------------------------


def examples():
    for page in PROSE:
        for number, text in enumerate(fenced(page, "yaml", "yml")):
            excerpt = "…" in text or "[...]" in text  # it shows a form, and is no file
            if not excerpt and re.search(r"^(version|schema|products):", text, re.MULTILINE):
                yield pytest.param(text, id=f"{page.stem}-{number}")


@pytest.mark.parametrize("text", list(examples()))
def test_every_example_file_is_accepted(text):
    if "approvals:" in text.splitlines():
        assert approvalfile.parse(text, "approvals.yml")
    elif text.startswith("schema:"):
        name = re.search(r"^name: (\S+)$", text, re.MULTILINE)[1]
        assert parse(text, f"workflows/{name}.yml").phases
    else:
        assert config.parse(text).products


def test_there_are_examples_of_every_kind():
    texts = [item.values[0] for item in examples()]
    for mark in ("approvals:", "schema: pilothouse.workflow/1", "products:"):
        assert any(mark in text for text in texts), mark


def test_the_workflow_and_the_persona_of_the_guide_are_sound(tmp_path):
    guide = ROOT / "docs" / "extending.md"
    (flow,), (persona,) = fenced(guide, "yaml"), fenced(guide, "markdown")
    for folder, name, text in (("workflows", "staging.yml", flow), ("agents", "security-engineer.md", persona)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text, encoding="utf-8")
    reviewed = [*inventory.workflows(tmp_path), *inventory.personas(tmp_path)]
    own = [item for item in reviewed if item.origin == "project"]
    assert {item.name: [problem.message for problem in item.problems] for item in own} == {
        "staging": [], "security-engineer": [],
    }  # fmt: skip


@pytest.fixture
def shop(tmp_path):
    """A clone whose pilothouse.yml is the README's, with a remote that has its base branch."""

    def git(words, cwd):
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
        subprocess.run(["git", *words.split()], cwd=cwd, check=True, capture_output=True, env=environ)

    (text,) = (item for item in fenced(ROOT / "README.md", "yaml") if "products:" in item)
    clone = tmp_path / "shop"
    clone.mkdir()
    (clone / "pilothouse.yml").write_text(text, encoding="utf-8")
    git("init -q --bare origin.git", tmp_path)
    git("init -q -b main", clone)
    git("add pilothouse.yml", clone)
    git("-c user.name=ann -c user.email=ann@shop.example commit -qm begin", clone)
    git("remote add origin ../origin.git", clone)
    git("push -q origin main", clone)
    return clone


def test_the_readmes_project_is_one_that_the_doctor_finds_well(shop):
    checks = {check.name: check for check in examine(shop, {**os.environ, "GH_TOKEN": "made-up"})}
    about = [checks[name] for name in ("project", "workflow", "staging", "production", "forge", "remote")]
    assert [check.told for check in about if check.level == BAD] == []
    assert "shop" in checks["project"].told


def test_the_doctor_names_what_the_readmes_project_lacks(shop):
    environ = {name: value for name, value in os.environ.items() if name != "GH_TOKEN"}
    forge = next(check for check in examine(shop, environ) if check.name == "forge")
    assert forge.level == BAD
    assert "GH_TOKEN" in forge.told


# --- commands -------------------------------------------------------------------------------------------------------


def commands():
    """Every pilothouse command in a block or in a code span, as its words."""
    for page in PROSE:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in fenced(page, "sh", "") for line in block.splitlines()]
        spans = re.findall(r"`(pilothouse [^`]+)`", _FENCE.sub("", text))
        for line in [*lines, *spans]:
            # Also within $(…), after && and with an explanation behind it.
            found = re.search(r"(?:^|\(|&& )(?:\.venv/bin/)?(pilothouse .*)", line.strip())
            if found and "…" not in found[1].replace("'…'", "").replace("--reason …", ""):
                words = re.split(r" {2,}|\)|  #", found[1].replace("'…'", "x").replace("…", "x"))[0]
                yield pytest.param(shlex.split(words, comments=True), id=f"{page.stem}: {words[:60]}")


@pytest.mark.parametrize("words", list({item.id: item for item in commands()}.values()))
def test_every_documented_command_exists_with_its_options(words):
    reference = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    everywhere = reference.split("## pilothouse ship")[0]
    path, options = [], [word.partition("=")[0] for word in words if word.startswith("--")]
    for word in [word for word in words if not word.startswith("-")][:3]:
        if not re.search(rf"^##+ {' '.join([*path, word])}$", reference, re.MULTILINE):
            break
        path.append(word)
    if len(path) < 2:  # a global option or plain words
        assert len(words) == 1 or options or " " in words[1], words
    told = re.split(rf"^##+ {' '.join(path)}$", reference, flags=re.MULTILINE)[-1].split("\n## ")[0]
    for option in options:
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", told) or option in everywhere, f"{' '.join(path)} {option}"


# --- codes ----------------------------------------------------------------------------------------------------------

CODES = {
    errors.EXIT_DONE: "done", errors.EXIT_BUG: "bug", errors.EXIT_USAGE: "usage", errors.EXIT_WAITING: "waiting",
    errors.EXIT_REFUSED: "refused", errors.EXIT_ROLLED_BACK: "rolled", errors.EXIT_ABORTED: "aborted",
    errors.EXIT_HALTED: "halted",
}  # fmt: skip


@pytest.mark.parametrize("name", ["README.md", "docs/operations.md"])
def test_the_exit_codes_of_the_documents_are_those_of_the_code(name):
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
    assert {int(code) for code in rows} == set(CODES)
    if name == "README.md":
        for code, word in CODES.items():
            assert word in rows[str(code)].lower()


_CODE_TABLE = re.compile(r"^\| reason code \|.*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)


def told_codes():
    for page in PROSE:
        for table in _CODE_TABLE.findall(page.read_text(encoding="utf-8")):
            for row in table.splitlines()[2:]:
                for code in re.findall(r"`([a-z-]+)`", row.split("|")[1]):
                    yield pytest.param(code, id=f"{page.stem}: {code}")


@pytest.mark.parametrize("code", list(told_codes()))
def test_every_reason_code_that_is_told_of_is_one(code):
    assert code in reasons.collect()


def test_there_are_reason_codes_to_look_at():
    assert len(list(told_codes())) > 10


# --- the README's own commands and picture --------------------------------------------------------------------------


@pytest.fixture
def readme():
    spec = importlib.util.spec_from_file_location("readme", ROOT / ".ci" / "readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_has_commands_that_ci_runs_and_a_reason_for_the_others(readme):
    runnable, skipped = readme.blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    assert "make demo\n" in runnable
    assert all(reason for reason, _ in skipped)
    assert len(runnable) + len(skipped) == len(fenced(ROOT / "README.md", "sh"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```sh\ntrue\n```\n", 0),
        ("```sh\ntrue\nfalse\n```\n", 1),
        ("no block\n", 1),
        ("<!-- not run: -->\n```sh\ntrue\n```\n", 1),
    ],
    ids=["good", "a command fails", "nothing to run", "no reason"],
)
def test_ci_finds_out_when_a_command_of_the_readme_fails(readme, tmp_path, monkeypatch, text, code):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["readme.py", str(page)])
    assert readme.main() == code


def test_the_picture_is_one_of_the_release_as_it_is_now():
    told = " ".join(ET.parse(ROOT / "docs" / "run.svg").getroot().itertext())
    flow = parse((ROOT / "workflows" / "release.yml").read_text(encoding="utf-8"), "workflows/release.yml")
    for phase in flow.phases:
        assert phase.title in told, "run: make demo && .venv/bin/python docs/make_picture.py"
    assert "Approving does this, and nothing else:" in told
