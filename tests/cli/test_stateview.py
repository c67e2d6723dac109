"""state.yml is a view: rendered from the ledger, compared with it, and a person's edit of it is noticed (REL-12)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.sample import Telling, lately, pilothouse, project
from pilothouse import __version__, stateview
from pilothouse.app import Pilothouse
from pilothouse.errors import InvalidFile
from pilothouse.events import Resumed
from render import story


def opened(folder: Path) -> Pilothouse:
    return Pilothouse(folder, environ={})


@pytest.mark.parametrize(("telling", "phase", "production", "tasks"), [
    (story.waiting, "go", None, True),
    (story.refused, "readiness", None, True),
    (story.done, "released", "1.4.0", False),
    (story.rolled_back, "rolled-back", "1.3.0", False),
    (story.staged_only, "staged", None, False),
])  # fmt: skip
def test_the_view_says_phase_version_and_open_tasks(
    tmp_path: Path, telling: Telling, phase: str, production: str | None, tasks: bool
) -> None:
    app = opened(project(tmp_path / "p", telling(lately())))
    view = stateview.view_of(app)
    app.close()
    product = view["products"]["acme"]  # type: ignore[index,call-overload]
    assert product["phase"] == phase
    assert product["environments"].get("production", {}).get("version") == production
    assert bool(product["tasks"]) is tasks
    assert product["last_activity"].endswith("Z")
    assert ("last_release" in product) is (telling is story.done)


def test_comparing_makes_no_ledger_where_there_is_none(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    shutil.rmtree(folder / ".pilothouse")
    (folder / "state.yml").write_text(
        f'pilothouse: {{rendered_by: "pilothouse {__version__}", heads: {{acme: {{seq: 1, hash: x}}}}}}\n',
        encoding="utf-8",
    )
    answer = pilothouse("state", "check", cwd=folder)
    assert answer.code == 0
    assert "there is none here" in answer.out
    assert not (folder / ".pilothouse").exists()


def test_what_was_rendered_is_found_unedited_also_after_the_ledger_has_grown(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.refused(lately()))
    app = opened(folder)
    assert stateview.render_state_file(app)
    assert not stateview.render_state_file(app)
    state = app.find("")
    app.journal.append("acme", state.run, [Resumed("ceo", "terminal")], state.last_at)
    stateview.check_state_file(app)
    assert stateview.differences(app) == stateview.Comparison(comparable=True, why="")
    app.close()


def test_a_persons_edit_is_refused_with_both_values_and_kept(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.done(lately()))
    app = opened(folder)
    stateview.render_state_file(app)
    path = folder / "state.yml"
    edited = path.read_text(encoding="utf-8").replace("phase: released", "phase: staging")
    path.write_text(edited, encoding="utf-8")
    with pytest.raises(InvalidFile, match=r"phase.*staging.*released") as refusal:
        stateview.check_state_file(app)
    assert refusal.value.reason_code == "state-edited"
    assert not stateview.render_state_file(app)
    assert path.read_text(encoding="utf-8") == edited
    app.close()
    answer = pilothouse("state", "check", "--json", cwd=folder)
    assert answer.code == 20
    assert [item["path"] for item in answer.json["differences"]] == ["products.acme.phase"]


def test_a_persons_own_keys_and_comments_stay(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.done(lately()))
    path = folder / "state.yml"
    path.write_text("# ours\nproducts:\n  acme:\n    owner: Ada  # since May\n", encoding="utf-8")
    app = opened(folder)
    stateview.render_state_file(app)
    stateview.check_state_file(app)
    app.close()
    text = path.read_text(encoding="utf-8")
    assert "# ours" in text
    assert "owner: Ada  # since May" in text
    assert "phase: released" in text
    assert pilothouse("state", "check", cwd=folder).code == 0


def test_a_file_of_another_ledger_cannot_be_compared_and_is_rendered_again(tmp_path: Path) -> None:
    there = project(tmp_path / "there", story.done(lately()))
    here = project(tmp_path / "here", story.waiting(lately()))
    app = opened(there)
    stateview.render_state_file(app)
    app.close()
    (here / "state.yml").write_text((there / "state.yml").read_text(encoding="utf-8"), encoding="utf-8")
    app = opened(here)
    assert "this ledger does not hold" in stateview.differences(app).why
    stateview.check_state_file(app)
    assert stateview.render_state_file(app)
    app.close()
    assert pilothouse("state", "check", cwd=here).code == 0


def test_a_file_that_cannot_be_read_is_left_alone_and_said_at_the_next_start(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", story.done(lately()))
    path = folder / "state.yml"
    path.write_text("a: 1\na: 2\n", encoding="utf-8")
    app = opened(folder)
    assert not stateview.render_state_file(app)
    with pytest.raises(InvalidFile):
        stateview.check_state_file(app)
    app.close()
    assert path.read_text(encoding="utf-8") == "a: 1\na: 2\n"
