"""Our server, our door, and what the official conformance runner asks of a server under test; run by hand.

    python tests/mcp/conformance.py PROJECT PORT
    npx -y @modelcontextprotocol/conformance@0.1.16 server --url http://127.0.0.1:PORT/mcp --suite all    # Node 22

The runner calls tools, prompts and resources by names of its own, which no product has: they are added here to the very
server that `pilothouse mcp --http` serves, so that its refusals, its net and its door are what is measured. It can show
no token, so that one is put in before the door.
"""

# ruff: noqa: N815 - the runner's names

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import uvicorn
from mcp.server.mcpserver import Context, Elicit, Image, Resolve, Sample, UserMessage
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import (
    AudioContent,
    CreateMessageResult,
    EmbeddedResource,
    ImageContent,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

from pilothouse.mcp.door import application
from pilothouse.mcp.server import build

TOKEN = "t" * 20
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
SILENCE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
    "$defs": {"address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}}, "additionalProperties": False,
}  # fmt: skip


class Who(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Literal["active", "inactive", "pending"] = "active"
    verified: bool = True


def titled(prefix, names):
    return [{"const": f"{prefix}{number}", "title": name} for number, name in enumerate(names, 1)]


OPTIONS = ["option1", "option2", "option3"]
CHOICES = ["First Choice", "Second Choice", "Third Choice"]


class Enums(BaseModel):
    untitledSingle: str = Field(json_schema_extra={"enum": OPTIONS})
    titledSingle: str = Field(
        json_schema_extra={"oneOf": titled("value", ["First Option", "Second Option", "Third Option"])}
    )
    legacyEnum: str = Field(
        json_schema_extra={"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}
    )
    untitledMulti: list[str] = Field(json_schema_extra={"items": {"type": "string", "enum": OPTIONS}})
    titledMulti: list[str] = Field(json_schema_extra={"items": {"anyOf": titled("value", CHOICES)}})


def ask_who(message: str) -> Elicit[Who]:
    return Elicit(message, Who)


def ask_defaults() -> Elicit[Defaults]:
    return Elicit("defaults", Defaults)


def ask_enums() -> Elicit[Enums]:
    return Elicit("enums", Enums)


def ask_model(prompt: str) -> Sample:
    return Sample([SamplingMessage(role="user", content=TextContent(type="text", text=prompt))], max_tokens=100)


def text_resource(uri, text, kind="text/plain"):
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=kind, text=text))


def test_simple_text():
    return "This is a simple text response for testing."


def test_image_content() -> ImageContent:
    return ImageContent(type="image", data=PIXEL, mime_type="image/png")


def test_audio_content() -> AudioContent:
    return AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")


def test_embedded_resource() -> EmbeddedResource:
    return text_resource("test://embedded-resource", "This is an embedded resource content.")


def test_multiple_content_types() -> list:
    return [
        TextContent(type="text", text="Multiple content types test:"), test_image_content(),
        text_resource("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ]  # fmt: skip


def test_error_handling():
    raise ToolError("This tool intentionally returns an error for testing")


async def test_tool_with_progress(ctx: Context):
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(0.05)
    return "done"


async def test_reconnection(ctx: Context):
    await ctx.close_sse_stream()
    await asyncio.sleep(0.1)
    return "Reconnection test completed"


def test_elicitation(message: str, said: Annotated[Who, Resolve(ask_who)]):
    return f"User response: {message} {said}"


def test_elicitation_sep1034_defaults(said: Annotated[Defaults, Resolve(ask_defaults)]):
    return f"Elicitation completed: action=accept, content={said}"


def test_elicitation_sep1330_enums(said: Annotated[Enums, Resolve(ask_enums)]):
    return f"Elicitation completed: action=accept, content={said}"


def test_sampling(prompt: str, said: Annotated[CreateMessageResult, Resolve(ask_model)]):
    return f"LLM response: {prompt} {said.content}"


def json_schema_2020_12_tool(name: str = ""):
    return name


def test_prompt_with_arguments(arg1: str, arg2: str):
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


def test_prompt_with_embedded_resource(resourceUri: str):  # noqa: N803
    return [
        UserMessage(text_resource(resourceUri, "Embedded resource content for testing.")),
        UserMessage("Please process the embedded resource above."),
    ]


def under_test(project):
    bridge = build(project, dict(os.environ))
    for tool in (
        test_simple_text, test_image_content, test_audio_content, test_embedded_resource, test_multiple_content_types,
        test_error_handling, test_tool_with_progress, test_reconnection, test_elicitation, test_elicitation_sep1034_defaults,
        test_elicitation_sep1330_enums, test_sampling, json_schema_2020_12_tool,
    ):  # fmt: skip
        bridge.add_tool(tool, structured_output=False, description=f"{tool.__name__} of the runner")
    bridge._tool_manager.get_tool("json_schema_2020_12_tool").parameters = SCHEMA
    bridge.prompt("test_simple_prompt", description="of the runner")(lambda: "This is a simple prompt for testing.")
    bridge.prompt("test_prompt_with_arguments", description="of the runner")(test_prompt_with_arguments)
    bridge.prompt("test_prompt_with_embedded_resource", description="of the runner")(test_prompt_with_embedded_resource)
    bridge.prompt("test_prompt_with_image", description="of the runner")(
        lambda: [UserMessage(test_image_content()), UserMessage("Analyse it.")]
    )
    bridge.resource("test://static-text", name="text")(lambda: "This is the content of the static text resource.")
    bridge.resource("test://static-binary", name="binary", mime_type="image/png")(lambda: Image(data=b"\x89PNG").data)
    bridge.resource("test://template/{id}/data", name="data", mime_type="application/json")(
        lambda id: f'{{"id":"{id}"}}'  # noqa: A006 - the runner's name
    )
    return bridge


def main():
    project, port = Path(sys.argv[1]), int(sys.argv[2])
    inside = application(under_test(project), (), port, TOKEN)

    async def with_token(scope, receive, send):
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {TOKEN}".encode())]}
        await inside(scope, receive, send)

    uvicorn.run(with_token, host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    main()
