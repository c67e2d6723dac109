"""An agent chat ships the sample product, by the SDK's own client over a real pipe and a real socket (FACE-3, APR-6)."""

from __future__ import annotations

import json
import os
import signal
import urllib.request

import anyio

from pilothouse.app import Request, os_user
from pilothouse.workspace import SystemClock


def version(world, environment="production"):
    with urllib.request.urlopen(f"{world.urls[environment]}/version", timeout=5) as reply:
        return json.load(reply)["version"]


def approved_elsewhere(app, run):
    """A person types the word on their own surface; the server's process has no part in it."""
    app.approve(run, os_user("test"), lambda _card, word: word)


def test_a_chat_ships_through_an_approval_that_is_typed_elsewhere(connect, harbour, conduct):
    world = harbour(scripted_approval=False)
    app = conduct(world, clock=SystemClock())

    async def chat():
        async with connect(world.project, world.environment) as talk:
            plan = await talk.call("release_plan", product="acme")
            while plan["state"] == "checking":
                plan = await talk.call("release_plan", product="acme")
            assert (plan["state"], plan["problems"]) == ("planned", [])
            assert {"deploy", "back"} <= {act["what"].split()[0] for act in plan["acts"]}
            assert app.runs() == []

            started = await talk.call("release_start", words="ship acme")
            assert started["state"] == "running"
            waiting = await talk.until_it_rests(started["run"])
            assert (waiting["state"], waiting["checkpoint"]) == ("waiting", "go")
            assert waiting["next_action"]["who"] == "person"
            assert waiting["plan_digest"] == plan["plan_digest"]
            assert [done for done, _, _ in talk.progress] != []

            asked = await talk.call("request_approval")
            assert asked["next_action"]["command"] == f"pilothouse approve {started['run']}"
            assert (asked["waits"], asked["asked"]) == (True, "no")
            assert "Approving does this, and nothing else" in await talk.read(asked["card"])
            assert version(world) == "1.3.0"

            await anyio.to_thread.run_sync(approved_elsewhere, app, started["run"])
            await talk.call("release_resume", run=started["run"])
            ended = await talk.until_it_rests(started["run"])
            assert (ended["state"], ended["next_action"]["who"]) == ("done", "nobody")
            assert "acme 1.4.0 is live" in await talk.read(f"pilothouse://runs/{started['run']}/report")
            assert "Saved filters" in await talk.read(f"pilothouse://runs/{started['run']}/notes")
            ledger = json.loads(await talk.read(f"pilothouse://runs/{started['run']}/ledger"))
            return ended, ledger

    ended, ledger = anyio.run(chat)
    assert version(world) == version(world, "staging") == "1.4.0"
    state = app.find(ended["run"])
    assert state.started.channel == "mcp"
    assert state.checkpoints["go"].approved.channel == "test"
    # A spent word is in the record, and nowhere in what a model may read.
    facts = [event["fact"] for event in ledger["events"] if event["kind"] in {"WordDrawn", "WordSpent"}]
    assert len(facts) == 2
    assert all("presented" not in fact and "entered" not in fact for fact in facts)


def test_a_chat_rolls_back(stdio, harbour, conduct):
    world = harbour()
    app = conduct(world, clock=SystemClock())
    shipped = app.start(Request("acme"), os_user("test"))
    assert app.follow(shipped, approve=app.approve_scripted).state.standing() == "done"

    async def chat():
        async with stdio(world.project, world.environment) as talk:
            refused = await talk.call("release_start", product="acme", workflow="rollback", severity="bad", reason="x")
            assert refused["reason_code"] == "bad-severity"
            wanted = {"product": "acme", "workflow": "rollback", "severity": "high", "reason": "prices are wrong"}
            started = await talk.call("release_start", **wanted)
            waiting = await talk.until_it_rests(started["run"])
            assert waiting["checkpoint"], waiting
            await anyio.to_thread.run_sync(approved_elsewhere, app, started["run"])
            await talk.call("release_resume", run=started["run"])
            return await talk.until_it_rests(started["run"])

    assert anyio.run(chat)["state"] == "rolled-back"
    assert version(world) == "1.3.0"


def test_a_server_that_is_killed_loses_nothing(harbour, conduct, served, talking):
    world = harbour(scripted_approval=False)
    app = conduct(world, clock=SystemClock())

    async def started(url):
        async with talking(url) as talk:
            return (await talk.call("release_start", product="acme"))["run"]

    async def later(url):
        async with talking(url) as talk:
            return await talk.until_it_rests("")

    with served(world.project, world.environment) as place:
        run = anyio.run(started, place.url)
        place.server.kill()
    with served(world.project, world.environment) as place:
        told = anyio.run(later, place.url)
    assert (told["run"], told["state"], told["checkpoint"]) == (run, "waiting", "go")
    assert [event.kind for event in app.journal.read("acme")].count("Started") == 1


def test_a_conductor_that_is_killed_too_is_followed_by_another(harbour, conduct, served, talking):
    world = harbour(scripted_approval=False)
    app = conduct(world, clock=SystemClock())

    async def chat(url):
        async with talking(url) as talk:
            run = (await talk.call("release_start", product="acme"))["run"]
            os.kill(conductor(app), signal.SIGKILL)
            with anyio.fail_after(90):
                while (told := await talk.call("release_status", wait_seconds=20))["at_work"]:
                    pass
            assert (told["state"], told["next_action"]["tool"]) == ("running", "release_resume")
            assert (await talk.call("release_resume", run=run))["at_work"]
            return await talk.until_it_rests(run)

    with served(world.project, world.environment) as place:
        told = anyio.run(chat, place.url)
    assert (told["state"], told["checkpoint"]) == ("waiting", "go")


def conductor(app):
    """The process that holds the product's lease."""
    return int(app.journal.holder("acme").holder.rsplit(":", 3)[1])
