"""What the tools and resources say, and how they refuse, on a ledger that tells one of the stories (FACE-3, I13, I14)."""

from __future__ import annotations

import json
from dataclasses import replace

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from cli.sample import lately, project
from render import story

TOOLS = {"release_plan", "release_start", "release_status", "release_resume", "release_abort", "request_approval"}


def talk_to(stdio, folder, chat, more=(), **options):
    async def talked():
        async with stdio(folder, more, **options) as talk:
            return await chat(talk)

    return anyio.run(talked)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_there_are_tools_with_schemas_and_hints_and_none_approves(stdio, tmp_path, mode):
    async def chat(talk):
        tools = {tool.name: tool for tool in (await talk.client.list_tools()).tools}
        assert tools.keys() == TOOLS
        for tool in tools.values():
            assert tool.description
            assert tool.output_schema["properties"]["next_action"]
            assert tool.input_schema["additionalProperties"] is False
            assert (
                not {"word", "approve", "override", "approvals", "lift_hold"} & tool.input_schema["properties"].keys()
            )
        reading = {name for name, tool in tools.items() if tool.annotations.read_only_hint}
        assert reading == {"release_plan", "release_status"}
        assert tools["release_abort"].annotations.destructive_hint
        assert tools["release_resume"].annotations.idempotent_hint
        assert {prompt.name for prompt in (await talk.client.list_prompts()).prompts} == {"ship", "rollback", "status"}
        message = (await talk.client.get_prompt("ship", {"product": "acme\u202e"})).messages[0].content.text
        assert "acme<U+202E>" in message
        assert "You cannot approve" in message

    talk_to(stdio, project(tmp_path / "p"), chat, mode=mode)


def test_a_tool_that_would_approve_does_not_exist(stdio, tmp_path):
    async def chat(talk):
        for name in ("release_approve", "approve", "pilothouse_approve"):
            with pytest.raises(MCPError) as refused:
                await talk.client.call_tool(name, {"run": story.RUN, "word": "LAUNCH"})
            assert refused.value.error.data["reason_code"] == "no-such-tool"
        for words in ("approve", "yes go ahead", f"approve {story.RUN}"):
            assert (await talk.call("release_start", words=words))["reason_code"] in {"approval", "not-understood"}
        return await talk.call("release_status")

    folder = project(tmp_path / "p", story.waiting(lately()))
    assert talk_to(stdio, folder, chat)["state"] == "waiting"


@pytest.mark.parametrize(("tool", "arguments", "code"), [
    ("release_status", {"run": "r-1999-01-01-01"}, "no-such-run"),
    ("request_approval", {"run": "r-1999-01-01-01"}, "no-such-run"),
    ("release_resume", {"run": "../../etc/passwd"}, "no-such-run"),
    ("release_abort", {"run": "r-1999-01-01-01", "reason": "x"}, "no-such-run"),
    ("release_abort", {"run": story.RUN}, "usage"),
    ("release_abort", {"run": story.RUN, "reason": " "}, "reason-missing"),
    ("release_status", {"wait_seconds": 1000}, "usage"),
    ("release_status", {"run": story.RUN, "approve": True}, "usage"),
    ("release_start", {"product": "acme", "words": "ship acme"}, "usage"),
    ("release_start", {"words": "ship it tomorrow, maybe"}, "not-understood"),
    ("release_start", {"words": "dry run of acme"}, "usage"),
    ("release_start", {"product": "acme", "version": "one"}, "bad-version"),
    ("release_start", {"product": "nothing"}, "unknown-product"),
    ("release_start", {"product": "acme", "workflow": "rollback", "severity": "high"}, "reason-missing"),
])  # fmt: skip
def test_a_refusal_is_typed(stdio, tmp_path, tool, arguments, code):
    async def chat(talk):
        told = await talk.call(tool, **arguments)
        assert told.keys() == {"schema", "reason_code", "message", "hint"}
        assert (told["schema"], told["reason_code"]) == ("pilothouse.error/1", code)
        assert told["hint"]
        assert "Traceback" not in told["message"]

    talk_to(stdio, project(tmp_path / "p", story.waiting(lately())), chat)


@pytest.mark.parametrize(("telling", "state", "who", "tool"), [
    (story.readied, "running", "agent", "release_resume"),
    (story.waiting, "waiting", "person", "request_approval"),
    (story.held, "waiting", "person", None),
    (story.refused, "refused", "agent", "release_resume"),
    (story.done, "done", "nobody", None),
    (story.rolled_back, "rolled-back", "nobody", None),
])  # fmt: skip
def test_a_run_says_whose_turn_it_is(stdio, tmp_path, telling, state, who, tool):
    async def chat(talk):
        told = await talk.call("release_status", run=story.RUN)
        assert (told["run"], told["state"]) == (story.RUN, state)
        assert (told["next_action"]["who"], told["next_action"]["tool"]) == (who, tool)
        assert 0 < told["steps_done"] <= told["steps_total"]
        for uri in told["resources"]:
            assert await talk.read(uri)

    talk_to(stdio, project(tmp_path / "p", telling(lately())), chat)


def test_a_waiting_checkpoint_says_what_a_person_must_do(stdio, tmp_path):
    async def chat(talk):
        told = await talk.call("request_approval", run=story.RUN)
        assert told["waits"]
        assert told["next_action"] == {
            "who": "person", "tool": None, "command": f"pilothouse approve {story.RUN}",
            "what": f"A person reads the card and types its word in a terminal: pilothouse approve {story.RUN}. "
            "Then ask release_status.",
        }  # fmt: skip
        assert (told["checkpoint"], told["asked"]) == ("go", "no")
        assert await talk.read(told["card"])

    talk_to(stdio, project(tmp_path / "p", story.waiting(lately())), chat)


def test_an_aborted_run_is_over(stdio, tmp_path):
    async def chat(talk):
        told = await talk.call("release_abort", run=story.RUN, reason="wrong product")
        assert (told["state"], told["next_action"]["who"]) == ("aborted", "nobody")
        assert (await talk.call("release_abort", run=story.RUN, reason="again"))["reason_code"] == "run-over"
        assert (await talk.call("release_resume", run=story.RUN))["reason_code"] == "run-over"

    talk_to(stdio, project(tmp_path / "p", story.waiting(lately())), chat)


def test_an_unknown_resource_is_a_typed_error(stdio, tmp_path):
    async def chat(talk):
        for uri, code in (
            ("pilothouse://runs/nope/report", "no-such-run"), (f"pilothouse://runs/{story.RUN}/word", "no-such-resource"),
            (f"pilothouse://runs/{story.RUN}/card", "no-card"), ("file:///etc/passwd", "no-such-resource"),
        ):  # fmt: skip
            with pytest.raises(MCPError) as refused:
                await talk.client.read_resource(uri)
            assert refused.value.error.data["reason_code"] == code
        listed = [str(item.uri) for item in (await talk.client.list_resources()).resources]
        assert listed[0] == "pilothouse://runs"
        assert json.loads(await talk.read(listed[0]))["runs"][0]["id"] == story.RUN

    talk_to(stdio, project(tmp_path / "p", story.refused(lately())), chat)


def test_hostile_texts_are_marked_in_every_answer(stdio, tmp_path):
    async def chat(talk):
        told = json.dumps(await talk.call("release_status", run=story.RUN), ensure_ascii=False)
        for name in ("report", "ledger"):
            told += await talk.read(f"pilothouse://runs/{story.RUN}/{name}")
        return told

    told = talk_to(stdio, project(tmp_path / "p", replace(story.hostile())), chat)
    assert not {"\u202e", "\x1b", "\u200b", "\x07"} & set(told)


def test_no_held_value_leaves(stdio, tmp_path):
    told = story.refused(lately())
    secret = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
    told.events[-1] = replace(told.events[-1], fact=replace(told.events[-1].fact, message=f"the forge said {secret}"))

    async def chat(talk):
        answers = [json.dumps(await talk.call("release_status", run=story.RUN))]
        answers += [await talk.read(f"pilothouse://runs/{story.RUN}/{name}") for name in ("report", "ledger")]
        answers.append(json.dumps(await talk.call("release_status", run=secret)))
        return answers

    answers = talk_to(stdio, project(tmp_path / "p", told), chat, {"GH_TOKEN": secret})
    assert all(secret not in answer for answer in answers)
    assert "the forge said" in answers[0]


def test_a_halted_run_is_for_a_person(stdio, tmp_path):
    from pilothouse.events import Halted

    told = story.crashed(lately())
    told.tell(Halted("production-deploy", "conflict", "production answers something else", ""))

    async def chat(talk):
        status = await talk.call("release_status", run=story.RUN)
        assert (status["state"], status["next_action"]["who"]) == ("halted", "person")
        assert (await talk.call("release_resume", run=story.RUN))["reason_code"] == "needs-a-person"

    talk_to(stdio, project(tmp_path / "p", told), chat)
