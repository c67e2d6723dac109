"""The sandbox's Linear answers like the real one: its tools' names, its words for what is wrong, its pages."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from pilothouse.harbour.linear.seed import Ticket, comments_of, seed


@pytest.fixture
def ask(tmp_path):
    """A function: several calls of one conversation, in this process; what each answers and whether it is an error."""
    from mcp.client.client import Client

    from pilothouse.harbour.linear.server import Linear, Memory

    file = tmp_path / "linear.db"
    seed(file, [Ticket(f"ACME-{n}", f"Ticket {n}", "Done", f"https://linear.app/acme/issue/ACME-{n}") for n in (1, 2)])

    async def converse(calls):
        server = Linear(Memory(file), tmp_path / "faults.json", leaves=False)
        async with Client(server) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            answers = [await client.call_tool(name, arguments) for name, arguments in calls]
        return names, [(answer.is_error, answer.content[0].text) for answer in answers]

    def run(*calls):
        return asyncio.run(converse(calls))

    run.file = file
    return run


def test_the_tools_bear_linears_names(ask):
    names, answers = ask(("get_issue", {"id": "ACME-1"}), ("list_issues", {"query": "ticket 2"}))
    assert names == {"get_issue", "list_issues", "list_comments", "create_comment"}
    assert [error for error, _ in answers] == [False, False]
    ticket = json.loads(answers[0][1])
    assert (ticket["identifier"], ticket["status"]) == ("ACME-1", "Done")
    assert [found["identifier"] for found in json.loads(answers[1][1])] == ["ACME-2"]


def test_what_is_not_there_is_an_error(ask):
    _, answers = ask(
        ("get_issue", {"id": "ACME-9"}),
        ("list_comments", {"issueId": "ACME-9"}),
        ("create_comment", {"issueId": "ACME-9", "body": "x"}),
        ("create_comment", {"issueId": "ACME-1", "body": " "}),
        ("get_issue", {"id": "ACME-1", "with": "everything"}),
        ("get_issue", {}),
        ("list_comments", {"issueId": "ACME-1", "limit": 251}),
        ("list_comments", {"issueId": "ACME-1", "cursor": "yesterday"}),
        ("delete_issue", {"id": "ACME-1"}),
    )
    assert all(error for error, _ in answers)
    assert "Entity not found: Issue - Could not find referenced Issue." in answers[0][1]
    assert "'with'" in answers[4][1]


def test_comments_come_in_pages(ask):
    calls = [("create_comment", {"issueId": "ACME-1", "body": f"number {n}"}) for n in range(3)]
    _, answers = ask(*calls, ("list_comments", {"issueId": "ACME-1", "limit": 2}))
    first = json.loads(answers[-1][1])
    assert ([each["body"] for each in first["comments"]], first["hasNextPage"]) == (["number 0", "number 1"], True)
    _, answers = ask(("list_comments", {"issueId": "ACME-1", "limit": 2, "cursor": first["cursor"]}))
    last = json.loads(answers[0][1])
    assert ([each["body"] for each in last["comments"]], last["hasNextPage"]) == (["number 2"], False)
    assert list(comments_of(ask.file, "ACME-1")) == ["number 0", "number 1", "number 2"]
    assert list(comments_of(ask.file, "ACME-2")) == []


def test_seeding_again_keeps_what_was_written(ask):
    ask(("create_comment", {"issueId": "ACME-1", "body": "kept"}))
    seed(ask.file, [Ticket("ACME-1", "Renamed", "Done", "https://linear.app/acme/issue/ACME-1")])
    _, answers = ask(("get_issue", {"id": "ACME-1"}))
    assert json.loads(answers[0][1])["title"] == "Renamed"
    assert list(comments_of(ask.file, "ACME-1")) == ["kept"]


def test_a_world_without_tickets_is_no_server(tmp_path):
    argv = [sys.executable, "-P", "-m", "pilothouse.harbour.linear.server", str(tmp_path / "absent.db"), "faults.json"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, "there is no" in done.stderr) == (2, True)
