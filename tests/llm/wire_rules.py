"""What the Messages API refuses, as a list of rules: the test server is as strict as the real one.

By ``anthropic/types/message_create_params.py`` of SDK 2.12 (the fields), and the API's documentation: every tool call is
answered in the next message, results stand first; a signature of thinking is the server's own; no prefill; at most four
marks for the cache; a strict schema names all its objects closed.
"""

from __future__ import annotations

import re
from typing import Any

FIELDS = {
    "max_tokens", "messages", "model", "cache_control", "container", "diagnostics", "inference_geo", "metadata",
    "output_config", "service_tier", "speed", "stop_sequences", "stream", "system", "thinking", "tool_choice", "tools",
}  # fmt: skip
COUNTED = {
    "messages", "model", "cache_control", "output_config", "speed", "system", "thinking", "tool_choice", "tools",
}  # fmt: skip
TOOL = {
    "input_schema", "name", "allowed_callers", "cache_control", "defer_loading", "description", "eager_input_streaming",
    "input_examples", "strict", "type",
}  # fmt: skip
BLOCKS = {
    "text": ({"text"}, {"cache_control", "citations"}),
    "tool_use": ({"id", "input", "name"}, {"cache_control", "caller", "toolset_name"}),
    "tool_result": ({"tool_use_id"}, {"cache_control", "content", "is_error", "toolset_name"}),
    "thinking": ({"signature", "thinking"}, set()),
    "redacted_thinking": ({"data"}, set()),
    "server_tool_use": ({"id", "input", "name"}, {"cache_control", "caller"}),
}
# Of JSON Schema, what strict tools and structured answers may use.
KEYWORDS = {
    "type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "allOf", "$ref", "$defs",
    "definitions", "description", "title", "default", "format", "minItems",
}  # fmt: skip
NAME, IDENTITY = re.compile(r"[a-zA-Z0-9_-]{1,128}"), re.compile(r"[a-zA-Z0-9_-]+")


class Refused(Exception):
    """What the API answers 400 with."""


def demand(holds: bool, message: str) -> None:
    if not holds:
        raise Refused(message)


def check(body: Any, *, counting: bool = False, thoughts: set[str] = frozenset(), paused: bool = False) -> None:
    """Raise Refused where the real API would refuse the request.

    Args:
        counting: it is a request to count tokens.
        thoughts: the signatures that this server has given out.
        paused: the conversation may end with the assistant, whose turn was paused.
    """
    demand(isinstance(body, dict), "the body is no object")
    no_fractions(body)
    for key in body:
        demand(key in (COUNTED if counting else FIELDS), f"{key}: Extra inputs are not permitted")
    demand(isinstance(body.get("model"), str) and body["model"], "model: Field required")
    if not counting:
        demand(type(body.get("max_tokens")) is int and body["max_tokens"] > 0, "max_tokens: Field required")
        demand(body.get("stream") is True, "stream: this server streams only")
    tools(body.get("tools", []))
    system(body.get("system", ""))
    output(body.get("output_config", {}))
    messages(body.get("messages"), thoughts, paused)
    marks = json_marks(body.get("tools", [])) + json_marks(body.get("system", "")) + json_marks(body["messages"])
    marks += "cache_control" in body
    demand(marks <= 4, f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")


def no_fractions(value: Any) -> None:
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        demand(not isinstance(item, float), "a fraction: Pilothouse sends none")
        no_fractions(item)


def json_marks(value: Any) -> int:
    if isinstance(value, dict):
        found = value.get("cache_control")
        demand(found is None or found == {"type": "ephemeral"}, "cache_control: Input should be ephemeral")
        return (found is not None) + sum(json_marks(item) for key, item in value.items() if key != "input")
    return sum(json_marks(item) for item in value) if isinstance(value, list) else 0


def tools(found: Any) -> None:
    demand(isinstance(found, list), "tools: Input should be a valid list")
    names = [tool.get("name") for tool in found if isinstance(tool, dict)]
    demand(len(set(names)) == len(names) == len(found), "tools: Tool names must be unique.")
    for index, tool in enumerate(found):
        here = f"tools.{index}"
        for key in tool:
            demand(key in TOOL, f"{here}.{key}: Extra inputs are not permitted")
        demand(isinstance(tool["name"], str) and NAME.fullmatch(tool["name"]) is not None,
               f"{here}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")  # fmt: skip
        schema = tool.get("input_schema")
        demand(isinstance(schema, dict) and schema.get("type") == "object", f"{here}.input_schema.type: Field required")
        demand(isinstance(tool.get("description", ""), str), f"{here}.description: Input should be a valid string")
        if tool.get("strict"):
            closed(schema, f"{here}.input_schema")


def closed(schema: Any, here: str) -> None:
    if not isinstance(schema, dict):
        return
    for key in schema:
        demand(key in KEYWORDS, f"{here}: For a strict schema, property '{key}' is not supported")
    if schema.get("type") == "object":
        demand(schema.get("additionalProperties") is False, f"{here}: additionalProperties must be set to false")
    for name, item in schema.get("properties", {}).items():
        closed(item, f"{here}.{name}")
    for item in (*schema.get("$defs", {}).values(), *schema.get("anyOf", []), schema.get("items")):
        closed(item, here)


def system(found: Any) -> None:
    demand(isinstance(found, (str, list)), "system: Input should be a valid string or list")
    for index, item in enumerate(found if isinstance(found, list) else ()):
        demand(
            item.get("type") == "text" and set(item) <= {"type", "text", "cache_control", "citations"},
            f"system.{index}",
        )
        demand(bool(item.get("text")), "system: text content blocks must be non-empty")


def output(found: Any) -> None:
    demand(isinstance(found, dict), "output_config: Input should be a valid dictionary")
    for key in found:
        demand(key in ("effort", "format"), f"output_config.{key}: Extra inputs are not permitted")
    demand(
        found.get("effort", "low") in ("low", "medium", "high", "xhigh", "max"), "output_config.effort: not one of them"
    )
    if "format" in found:
        demand(
            set(found["format"]) == {"type", "schema"} and found["format"]["type"] == "json_schema",
            "output_config.format",
        )
        closed(found["format"]["schema"], "output_config.format.schema")


def messages(found: Any, thoughts: set[str], paused: bool) -> None:
    demand(isinstance(found, list) and found, "messages: at least one message is required")
    open_calls: list[str] = []
    for index, message in enumerate(found):
        here = f"messages.{index}"
        demand(isinstance(message, dict) and set(message) == {"role", "content"}, f"{here}: role and content")
        demand(message["role"] in ("user", "assistant"), f"{here}.role: user or assistant")
        demand(index > 0 or message["role"] == "user", 'messages: first message must use the "user" role')
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        demand(isinstance(blocks, list) and blocks, f"{here}: all messages must have non-empty content")
        for at, item in enumerate(blocks):
            block(item, message["role"], f"{here}.content.{at}", thoughts)
        results = [item["tool_use_id"] for item in blocks if item["type"] == "tool_result"]
        demand(sorted(results) == sorted(open_calls),
               f"{here}: `tool_use` ids were found without `tool_result` blocks immediately after, or the other way round")  # fmt: skip
        demand([item["type"] for item in blocks][: len(results)] == ["tool_result"] * len(results),
               f"{here}: tool_result blocks must come first")  # fmt: skip
        open_calls = [item["id"] for item in blocks if item["type"] == "tool_use"]
        demand(len(set(open_calls)) == len(open_calls), f"{here}: `tool_use` ids must be unique")
    demand(not open_calls, "messages: `tool_use` ids were found without `tool_result` blocks immediately after")
    demand(found[-1]["role"] == "user" or paused, "This model does not support assistant message prefill.")


def block(item: Any, role: str, here: str, thoughts: set[str]) -> None:
    kind = item.get("type") if isinstance(item, dict) else None
    demand(kind in BLOCKS, f"{here}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    needed, allowed = BLOCKS[kind]
    for key in needed:
        demand(key in item, f"{here}.{kind}.{key}: Field required")
    for key in item:
        demand(key in needed | allowed | {"type"}, f"{here}.{kind}.{key}: Extra inputs are not permitted")
    demand((role == "assistant") is (kind in ("tool_use", "thinking", "redacted_thinking", "server_tool_use")) or kind == "text",
           f"{here}: a {kind} block has no place with {role}")  # fmt: skip
    match kind:
        case "text":
            demand(
                isinstance(item["text"], str) and item["text"].strip() != "", "text content blocks must be non-empty"
            )
        case "tool_use":
            demand(
                IDENTITY.fullmatch(item["id"]) is not None and NAME.fullmatch(item["name"]) is not None, f"{here}.id"
            )
            demand(isinstance(item["input"], dict), f"{here}.tool_use.input: Input should be a valid dictionary")
        case "tool_result":
            content = item.get("content", "")
            demand(isinstance(content, (str, list)), f"{here}.tool_result.content")
            for inner in content if isinstance(content, list) else ():
                demand(
                    inner.get("type") == "text" and inner.get("text"), f"{here}.tool_result.content: text, non-empty"
                )
        case "thinking":
            demand(item["signature"] in thoughts, f"{here}: Invalid `signature` in `thinking` block")
