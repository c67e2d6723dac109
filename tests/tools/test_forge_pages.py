"""Lists of the forge that are longer than a page or contradict each other, told by a gh that answers from a file."""

from __future__ import annotations

import json

import pytest

from pilothouse.errors import ToolFailed, Unreachable

SHA = "a" * 40
GH = """#!/usr/bin/env python3
import json, os, pathlib, sys
from urllib.parse import parse_qs, urlsplit
here = pathlib.Path(__file__).parent
url = urlsplit(sys.argv[-1])
query = {name: values[-1] for name, values in parse_qs(url.query).items()}
answer = json.loads((here / "answers.json").read_text())[url.path.rpartition("/")[2]]
with (here / "asked").open("a") as asked:
    asked.write(json.dumps([url.path, query, sorted(os.environ)]) + "\\n")
if isinstance(answer, str):
    sys.exit(answer)
size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
key = next(iter(set(answer) - {"total_count"})) if isinstance(answer, dict) else ""
items = answer[key] if key else answer
cut = items[(page - 1) * size : page * size]
print(json.dumps({**answer, key: cut} if key else cut))
"""


@pytest.fixture
def gh(small, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gh").write_text(GH)
    (folder / "gh").chmod(0o755)
    small.environ = {**small.environ, "PATH": f"{folder}:{small.environ['PATH']}", "GH_TOKEN": "gh-secret-token"}

    def answers(**lists):
        (folder / "answers.json").write_text(
            json.dumps({name.replace("_", "-"): value for name, value in lists.items()})
        )

    answers.folder = folder
    return answers


def run(number, name, conclusion, status="completed"):
    return {
        "id": number,
        "name": name,
        "status": status,
        "conclusion": conclusion,
        "html_url": "https://x",
        "completed_at": "t",
    }


def status(number, name, state):
    return {"id": number, "context": name, "state": state, "target_url": "https://x", "updated_at": "t"}


def ci(small):
    facts = small.toolbox().observe("forge.ci", {"sha": SHA}).facts
    return {item["name"]: item["state"] for item in facts["checks"]}, facts["complete"]


def test_every_page_is_read(small, gh):
    runs = [run(n, f"check-{n}", "success") for n in range(150)]
    gh(
        check_runs={"total_count": 150, "check_runs": runs},
        statuses=[status(n, f"status-{n}", "success") for n in range(250)],
    )
    states, complete = ci(small)
    assert (len(states), complete) == (400, True)


def test_a_list_that_grew_while_it_was_read_is_not_complete(small, gh):
    gh(check_runs={"total_count": 3, "check_runs": [run(1, "unit", "success")]}, statuses=[])
    assert ci(small) == ({"unit": "success"}, False)


def test_the_newest_of_each_name_wins_and_of_two_sources_the_worse(small, gh):
    runs = [run(9, "unit", "success"), run(3, "unit", "failure"), run(4, "lint", None, "in_progress"), run(2, "lint", "success"),
            run(5, "both", "success"), run(6, "odd", "whatever"), run(7, "old", "stale"), run(8, "out", "timed_out"),
            run(10, "skip", "skipped")]  # fmt: skip
    gh(
        check_runs={"total_count": 9, "check_runs": runs},
        statuses=[status(2, "both", "error"), status(1, "both", "success")],
    )
    states, _ = ci(small)
    assert states == {"unit": "success", "lint": "pending", "both": "failure", "odd": "unknown", "old": "unknown", "out": "failure",
                      "skip": "skipped"}  # fmt: skip


def test_only_gh_receives_the_forges_credentials_and_nothing_else_of_the_conductor(small, gh):
    gh(check_runs={"total_count": 0, "check_runs": []}, statuses=[])
    ci(small)
    _, _, environ = json.loads((gh.folder / "asked").read_text().splitlines()[0])
    assert "GH_TOKEN" in environ
    assert "SECRET_OF_THE_CONDUCTOR" not in environ


@pytest.mark.parametrize(
    ("said", "error", "code", "tries"),
    [
        ("gh: Server Error (HTTP 502)", Unreachable, "forge-unreachable", 3),
        ("error connecting to api.github.com", Unreachable, "forge-unreachable", 3),
        ("gh: Bad credentials (HTTP 401)", ToolFailed, "forge-denied", 1),
        ("gh: Not Found (HTTP 404)", ToolFailed, "forge-not-found", 1),
        ("gh: No commit found for SHA (HTTP 422)", ToolFailed, "forge-refused", 1),
        ("gh: token gh-secret-token is wrong (HTTP 403)", ToolFailed, "forge-denied", 1),
    ],
)
def test_errors_have_names_and_only_what_may_pass_is_tried_again(small, gh, said, error, code, tries):
    gh(check_runs=said, statuses=[])
    with pytest.raises(error) as failed:
        ci(small)
    assert failed.value.reason_code == code
    assert "gh-secret-token" not in failed.value.message
    assert len((gh.folder / "asked").read_text().splitlines()) == tries


def test_a_list_without_an_end_is_refused_not_cut(small, gh):
    gh(check_runs={"total_count": 2100, "check_runs": [run(n, f"c{n}", "success") for n in range(2100)]}, statuses=[])
    with pytest.raises(ToolFailed) as refused:
        ci(small)
    assert refused.value.reason_code == "forge-too-many"
