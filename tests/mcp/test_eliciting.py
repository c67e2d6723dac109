"""A client asks its person for the word: only where policy on the base branch allows it, and never by itself (APR-6)."""

from __future__ import annotations

import re
import subprocess

import anyio
import pytest
from mcp.types import ElicitResult

from pilothouse import harbour as sandbox
from pilothouse.app import Request, os_user
from pilothouse.workspace import SystemClock


def allow(world, folder):
    """Somebody lets policy take elicited approvals, on the base branch and in the clone."""
    subprocess.run(["git", "clone", "-q", str(world.origin), str(folder)], check=True)
    for file in (folder / "pilothouse.yml", world.project / "pilothouse.yml"):
        file.write_text(file.read_text().replace("policy:\n", "policy:\n  elicitation: allow\n"))
    who = ["git", "-c", "user.name=ann", "-c", "user.email=ann@acme.test"]
    subprocess.run([*who, "commit", "-qam", "build: approvals through a client (#260)"], cwd=folder, check=True)
    subprocess.run(["git", "push", "-q", "origin", "HEAD:main"], cwd=folder, check=True)
    sandbox.settle(world.folder)


def waiting(app):
    run = app.start(Request("acme"), os_user("test"))
    standing = app.follow(run)
    assert standing.wait.checkpoint == "go", (standing.state.refused, standing.state.halted)
    return run


class Person:
    """Answers the client's question in the ways that are told, one after another."""

    def __init__(self, *ways):
        self.ways, self.shown = list(ways), []

    async def __call__(self, _context, params):
        self.shown.append(params.message)
        word = re.search(r"type the word ([A-Z]+)$", params.message)[1]
        match self.ways.pop(0):
            case "decline" | "cancel" as way:
                return ElicitResult(action=way)
            case "wrong":
                return ElicitResult(action="accept", content={"word": word.lower()})
            case "empty":
                return ElicitResult(action="accept", content={"word": ""})
            case "nothing":
                return ElicitResult(action="accept")
            case "strange":
                return ElicitResult(action="accept", content={"yes": True})
            case "fails":
                raise RuntimeError("the window was closed")
            case _:
                return ElicitResult(action="accept", content={"word": word})


async def ask(stdio, world, mode, person):
    async with stdio(world.project, world.environment, mode=mode, elicitation_callback=person) as talk:
        return await talk.call("request_approval")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_person_approves_through_their_client_where_policy_allows_it(mode, harbour, conduct, stdio, tmp_path):
    world = harbour(scripted_approval=False)
    allow(world, tmp_path / "somebody")
    app = conduct(world, clock=SystemClock())
    run = waiting(app)

    async def chat():
        for way, asked in (("decline", "declined"), ("cancel", "cancelled"), ("wrong", "refused")):
            told = await ask(stdio, world, mode, person := Person(way))
            assert (told["asked"], told["waits"]) == (asked, True), told
            assert "Approving does this, and nothing else" in person.shown[0]
        for way in ("nothing", "strange", "fails"):
            try:
                told = await ask(stdio, world, mode, Person(way))
                assert "reason_code" in told or told["waits"]
            except* Exception as failed:  # noqa: F841 - the client's own trouble, as it tells it
                pass
            assert app.find(run).checkpoints["go"].approved is None
        told = await ask(stdio, world, mode, None)
        assert (told["asked"], told["told"]) == ("no", "this client cannot ask its person")
        assert app.find(run).checkpoints["go"].approved is None
        return await ask(stdio, world, mode, Person("right"))

    told = anyio.run(chat)
    assert (told["asked"], told["waits"]) == ("approved", False)
    given = app.find(run).checkpoints["go"].approved
    assert (given.authentication, given.channel, given.who) == ("elicited", "mcp", "ceo@acme.test")


def test_without_policy_nobody_is_asked(harbour, conduct, stdio):
    world = harbour(scripted_approval=False)
    file = world.project / "pilothouse.yml"  # the working tree's word does not count
    file.write_text(file.read_text().replace("policy:\n", "policy:\n  elicitation: allow\n"))
    app = conduct(world, clock=SystemClock())
    run = waiting(app)
    person = Person("right")
    told = anyio.run(ask, stdio, world, "auto", person)
    assert person.shown == []
    assert (told["asked"], told["waits"]) == ("no", True)
    assert "policy.elicitation" in told["told"]
    kinds = [event.kind for event in app.journal.read("acme") if event.run == run]
    assert "WordDrawn" not in kinds


def test_over_http_nobody_is_asked(harbour, conduct, served, talking, tmp_path):
    world = harbour(scripted_approval=False)
    allow(world, tmp_path / "somebody")
    waiting(conduct(world, clock=SystemClock()))
    person = Person("right")

    async def chat(url):
        async with talking(url, elicitation_callback=person) as talk:
            return await talk.call("request_approval")

    with served(world.project, world.environment) as place:
        told = anyio.run(chat, place.url)
    assert person.shown == []
    assert (told["asked"], told["waits"]) == ("no", True)
