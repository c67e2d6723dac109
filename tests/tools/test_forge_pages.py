"""Lists of the forge that are longer than a page or contradict each other, told by a gh that answers from a file."""

from __future__ import annotations

import json

import pytest

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.model import Presence

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
how = json.loads((here / "how.json").read_text())
size, page = min(int(query.get("per_page", 30)), how.get("most", 100)), int(query.get("page", 1))
key = next(iter(set(answer) - {"total_count"})) if isinstance(answer, dict) else ""
items = answer[key] if key else answer
if "since" in query:
    items = [item for item in items if item["updated_at"] >= query["since"]]
cut = items[(page - 1) * size : page * size]
if "--include" in sys.argv:
    sys.stdout.write("HTTP/2.0 200 OK\\nContent-Type: application/json\\r\\n")
    links = [f'<https://elsewhere.test/repositories/8514/x?page={page - 1}>; rel="prev"'] * (page > 1)
    if page * size < len(items):
        links.append(how.get("link", f'<https://elsewhere.test/repositories/8514/x?page={page + 1}>; rel="next"'))
    if links and how.get("links", True):
        sys.stdout.write("Link: " + ", ".join(links) + "\\r\\n")
    sys.stdout.write("\\r\\n")
print(json.dumps({**answer, key: cut} if key else cut))
"""


@pytest.fixture
def gh(small, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gh").write_text(GH)
    (folder / "gh").chmod(0o755)
    small.environ = {**small.environ, "PATH": f"{folder}:{small.environ['PATH']}", "GH_TOKEN": "gh-secret-token"}

    def answers(how=None, **lists):
        (folder / "how.json").write_text(json.dumps(how or {}))
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


@pytest.mark.parametrize("most", [30, 7])
def test_a_page_that_is_shorter_than_asked_for_is_not_taken_for_the_last(small, gh, most):
    runs = [run(n, f"check-{n}", "success") for n in range(60)]
    gh({"most": most}, check_runs={"total_count": 60, "check_runs": runs}, statuses=[])
    states, complete = ci(small)
    assert (len(states), complete) == (60, True)
    asked = [json.loads(line) for line in (gh.folder / "asked").read_text().splitlines()]
    # The link's parameters are followed, its host and path never; nothing that was asked for gets lost on the way.
    assert {path for path, _, _ in asked} == {
        f"repos/harbour/acme/commits/{SHA}/{name}" for name in ("check-runs", "statuses")
    }
    assert all(query["filter"] == "latest" for path, query, _ in asked if path.endswith("check-runs"))


def test_full_pages_without_links_are_followed_by_number(small, gh):
    statuses = [status(n, f"status-{n}", "success") for n in range(250)]
    gh({"links": False}, check_runs={"total_count": 0, "check_runs": []}, statuses=statuses)
    assert len(ci(small)[0]) == 250


@pytest.mark.parametrize(
    "link", ['<https://api.test/x?page=1&per_page=100>; rel="next"', '<https://api.test/x>; rel="next"']
)
def test_pages_that_lead_in_a_circle_or_nowhere_are_no_list(small, gh, link):
    gh(
        {"most": 1, "link": link},
        check_runs={"total_count": 2, "check_runs": [run(1, "a", "success"), run(2, "b", "failure")]},
        statuses=[],
    )
    with pytest.raises(Unreachable) as failed:
        ci(small)
    assert failed.value.reason_code == "forge-unreachable"


def issue(number, at, key=""):
    body = f"text\n\n<!-- pilothouse:{key} -->" if key else "text"
    return {"number": number, "body": body, "html_url": f"https://x/{number}", "updated_at": at}


ISSUE = {"title": "Acme 1.4.0", "body": "why", "labels": []}


@pytest.mark.parametrize("at", ["2026-11-21T08:50:00Z", "2026-11-21T08:49:01Z", "2026-11-21T09:10:00Z"])
def test_an_issue_of_the_run_is_found_where_the_forges_clock_differs_by_ten_minutes(small, gh, at):
    # The run started at 09:00 by our clock; by the forge's, what it opened may be older than that.
    gh(issues=[issue(7, at, "k-issue"), issue(6, "2026-11-20T09:00:00Z")])
    for started in ("2026-11-21T09:00:00.000123+00:00", "2026-11-21T10:00:00+01:00"):
        seen = small.toolbox(started_at=started).probe("forge.issue", ISSUE, "k-issue")
        assert (seen.presence, seen.facts["number"]) == (Presence.APPLIED, 7)
    asked = [json.loads(line)[1] for line in (gh.folder / "asked").read_text().splitlines()]
    assert {query["since"] for query in asked} == {"2026-11-21T08:00:00Z"}


def test_an_issue_of_the_run_is_found_behind_many_others_on_short_pages(small, gh):
    others = [issue(n, "2026-11-21T09:30:00Z", "k-other") for n in range(250, 8, -1)]
    gh({"most": 50}, issues=[*others, issue(8, "2026-11-21T09:00:01Z", "k-issue")])
    box = small.toolbox()
    assert box.probe("forge.issue", ISSUE, "k-issue").facts["number"] == 8
    assert box.probe("forge.issue", ISSUE, "k-nobodys").presence is Presence.ABSENT


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


def test_what_a_probe_tells_of_the_forge_holds_no_credential(small, gh):
    gh(**{"v1.4.0": {"tag_name": "v1.4.0", "name": "by gh-secret-token"}})
    arguments = {"tag": "v1.4.0", "title": "Acme 1.4.0", "notes": "x"}
    seen = small.toolbox().probe("forge.release", arguments, "k-1")
    assert seen.presence is Presence.CONFLICT
    assert seen.detail == "v1.4.0 has a release of another title: 'by [redacted GH_TOKEN]'"
