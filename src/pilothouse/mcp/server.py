"""The server: what it offers, and how it refuses. Every refusal has a reason code and a hint; no traceback leaves."""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolResult,
    Completion,
    CompletionArgument,
    GetPromptResult,
    InputRequiredResult,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Resource as ListedResource
from mcp_types import Tool as ListedTool
from pydantic import ValidationError

from pilothouse import __version__, config
from pilothouse.canonical import Json
from pilothouse.errors import PilothouseError, UsageError
from pilothouse.mcp import prompts, reading
from pilothouse.mcp.answers import resource
from pilothouse.mcp.tools import Tools
from pilothouse.redaction import redactor
from pilothouse.render.text import safe, visible_json
from pilothouse.views import error_json

if TYPE_CHECKING:
    from pydantic.networks import AnyUrl

_OURS, _RUNS = "pilothouse:", "pilothouse://runs"
_LISTED = 5  # runs whose resources are listed; the others are read by their address
_MOST = 50  # completions
_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True)
_MOVES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True)
_ASKS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)


class Bridge(MCPServer[Any]):
    """The SDK's server, with refusals as Pilothouse says them and the net for held secrets before every answer.

    Args:
        project: the project's folder.
        environ: of the server.
    """

    def __init__(self, project: Path, environ: Mapping[str, str]) -> None:
        super().__init__(
            "pilothouse", title="Pilothouse", version=__version__, instructions=prompts.INSTRUCTIONS,
            description="Starts, watches and ends releases. Approves none: people do.", log_level="ERROR",
        )  # fmt: skip
        self.project, self.environ = project, dict(environ)
        self.tools = Tools(project, environ)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; a refusal is a result that says why and what to do."""
        known = self._tool_manager.get_tool(name)
        if known is None:
            names = ", ".join(tool.name for tool in self._tool_manager.list_tools())
            raise self._protocol_error(
                UsageError("no-such-tool", f"there is no tool {safe(name, 60)}", f"tools: {names}")
            )
        strange = [item for item in arguments if item not in known.parameters.get("properties", {})]
        result: CallToolResult | InputRequiredResult | None = None
        try:
            if strange:
                listed = ", ".join(safe(item, 40) for item in strange[:5])
                raise UsageError("usage", f"{name} takes no {listed}", "see the tool's input schema")
            result = await super().call_tool(name, arguments, context)
        except PilothouseError as error:
            return self._refused(error)
        except ToolError as error:
            return self._refused(self._cause(error))
        finally:
            if result is None and name == "request_approval":  # the client failed to ask: it waits as before
                await anyio.to_thread.run_sync(self.tools.askings.leave)
        return self._netted(result) if isinstance(result, CallToolResult) else result

    async def read_resource(
        self,
        uri: AnyUrl | str,
        context: Context[Any, Any] | None = None,
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Read a resource of a run; another one, where something else has added it."""
        try:
            if not str(uri).startswith(_OURS):
                return await super().read_resource(uri, context)
            text, kind = await anyio.to_thread.run_sync(self._read, str(uri))
        except ResourceNotFoundError:
            raise self._protocol_error(_no_such_resource(str(uri))) from None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told as a refusal
            raise self._protocol_error(self._cause(error)) from None
        return [ReadResourceContents(content=self._net()(text), mime_type=kind)]

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Get a prompt."""
        try:
            return await super().get_prompt(name, arguments, context)
        except ValueError:
            error = UsageError("usage", f"there is no prompt {safe(name, 60)} with these arguments", "see prompts/list")
            raise self._protocol_error(error) from None

    async def list_tools(self) -> list[ListedTool]:
        """All tools; none takes an argument that it does not name."""
        found = await super().list_tools()
        return [
            tool.model_copy(update={"input_schema": {**tool.input_schema, "additionalProperties": False}})
            for tool in found
        ]

    async def list_resources(self) -> list[ListedResource]:
        """The list of runs, and what there is to read about the latest of them."""
        return await anyio.to_thread.run_sync(self._listed)

    async def completed(
        self, _of: PromptReference | ResourceTemplateReference, argument: CompletionArgument, _known: object = None
    ) -> Completion | None:
        """The products and runs that an argument may mean."""
        if argument.name not in {"product", "run"}:
            return None
        names = await anyio.to_thread.run_sync(self._products if argument.name == "product" else self._run_ids)
        found = [name for name in names if name.startswith(argument.value)]
        return Completion(values=found[:_MOST], total=len(found), has_more=len(found) > _MOST)

    # --- under them ---------------------------------------------------------------------------------------------

    def _listed(self) -> list[ListedResource]:
        found = [ListedResource(uri=_RUNS, name="runs", title="All runs", mime_type=reading.JSON)]
        try:
            with self.tools.opened() as app:
                runs = app.runs()
        except PilothouseError:
            return found
        for state in reversed(runs[-_LISTED:]):
            found += [
                ListedResource(
                    uri=resource(state.run, name), name=f"{state.run} {name}", description=about, mime_type=kind,
                    title=f"{safe(state.started.product, 60)}: {name} of {state.run}",
                )
                for name, (_, kind, about) in reading.READERS.items()
            ]  # fmt: skip
        return found

    def _products(self) -> list[str]:
        return list(config.load(self.project / "pilothouse.yml").products)

    def _run_ids(self) -> list[str]:
        with self.tools.opened() as app:
            return [state.run for state in reversed(app.runs())]

    def _read(self, uri: str) -> tuple[str, str]:
        with self.tools.opened() as app:
            if uri == _RUNS:
                return reading.runs(app), reading.JSON
            run, _, name = uri.removeprefix(f"{_RUNS}/").partition("/")
            if not uri.startswith(f"{_RUNS}/") or name not in reading.READERS or not run:
                raise _no_such_resource(uri)
            read, kind, _ = reading.READERS[name]
            return read(app, run), kind

    def _cause(self, error: Exception) -> PilothouseError:
        """What a failure comes to: a refusal as it is, wrong arguments as usage, everything else as a bug."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, PilothouseError):
                return cause
            if isinstance(cause, ValidationError):
                # The values are the caller's own, and may be what was not meant for anybody's eyes.
                wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in cause.errors())
                return UsageError("usage", f"wrong arguments: {safe(wrong, 300)}", "see the tool's input schema")
            cause = cause.__cause__
        return self._bug(error)

    def _bug(self, error: Exception) -> PilothouseError:
        """A failure that nobody foresaw: the traceback goes to a file of the project, and not to the client."""
        name = f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"
        place = self.project / ".pilothouse" / name
        try:
            place.touch(mode=0o600)
            place.write_text(self._net()("".join(traceback.format_exception(error))), encoding="utf-8")
            where = f"details are in .pilothouse/{name}"
        except OSError:
            where = "no file could be written"
        return PilothouseError("bug", f"this is a bug in Pilothouse ({type(error).__name__}); {where}", "report it")

    def _refused(self, error: PilothouseError) -> CallToolResult:
        # As text alone: clients hold whatever is structured to the tool's schema, a refusal, too.
        text = visible_json(self._told(error), indent=1)
        return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)

    def _protocol_error(self, error: PilothouseError) -> MCPError:
        told = self._told(error)
        return MCPError(code=INVALID_PARAMS, message=str(told["message"]), data=told)

    def _told(self, error: PilothouseError) -> dict[str, Json]:
        """``pilothouse.error/1``, in one safe line each."""
        if not error.hint:
            from pilothouse import reasons

            known = reasons.collect().get(error.reason_code)
            error.hint = known.advice if known else ""
        net = self._net()
        return {name: safe(net(str(value)), 600) for name, value in error_json(error).items()}

    def _netted(self, result: CallToolResult) -> CallToolResult:
        """A result without any held value. The text beside the structure is its JSON."""
        if result.structured_content is None:
            return result
        structured = _each_text(result.structured_content, self._net())
        text = visible_json(structured, indent=1)
        return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)

    def _net(self) -> Callable[[str], str]:
        return redactor(self.project, self.environ)


def _no_such_resource(uri: str) -> UsageError:
    hint = f"{_RUNS}, or {_RUNS}/RUN/{{{','.join(reading.READERS)}}}"
    return UsageError("no-such-resource", f"there is no resource {safe(uri, 120)}", hint)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case list():
            return [_each_text(item, change) for item in value]
        case dict():
            return {name: _each_text(item, change) for name, item in value.items()}
        case _:
            return value


def build(project: Path, environ: Mapping[str, str]) -> Bridge:
    """The server over one project, with all that it offers.

    Args:
        project: the folder that holds pilothouse.yml.
        environ: the environment for facade and conductors, without the server's own secrets.
    """
    bridge = Bridge(project, environ)
    tools = bridge.tools
    for tool, title, hints in (
        (tools.release_plan, "Plan a release", _READS),
        (tools.release_start, "Start a release", _MOVES),
        (tools.release_status, "Where a run stands", _READS),
        (tools.release_resume, "Go on with a run", _MOVES.model_copy(update={"idempotent_hint": True})),
        (tools.release_abort, "End a run", _MOVES.model_copy(update={"idempotent_hint": True})),
        (tools.request_approval, "Ask for a person's approval", _ASKS),
    ):
        bridge.add_tool(
            tool, title=title, annotations=hints, structured_output=True, description=inspect.getdoc(tool)
        )  # fmt: skip
    for prompt, title in (
        (prompts.ship, "Ship"), (prompts.rollback, "Roll back"), (prompts.status, "Where does it stand?"),
    ):  # fmt: skip
        bridge.prompt(prompt.__name__, title=title, description=inspect.getdoc(prompt))(prompt)
    bridge.completion()(bridge.completed)  # type: ignore[no-untyped-call]  # the SDK's has no annotations
    for name, (_, kind, about) in reading.READERS.items():
        bridge.resource(f"pilothouse://runs/{{run}}/{name}", name=name, description=about, mime_type=kind)(_by_bridge)
    return bridge


def _by_bridge(run: str) -> str:
    """Never called: the bridge reads resources itself, and this lists their addresses."""
    raise UsageError("no-such-resource", f"there is no resource of {run}")
