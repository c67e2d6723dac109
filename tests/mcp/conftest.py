"""A real client of the SDK, over a real pipe or a real socket, to the program as people call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

PROGRAM = (sys.executable, "-m", "pilothouse.cli.main")
TOKEN = "a-token-of-the-tests-0123456789"


def told_by(result):
    """A result's structure; of a refusal, which has none that the tool's schema could hold, its text."""
    if not result.is_error:
        return dict(result.structured_content)
    assert result.structured_content is None
    (content,) = result.content
    told = json.loads(content.text)
    assert told["schema"] == "pilothouse.error/1"
    return told


@dataclass
class Talk:
    """A connected client."""

    client: Client
    progress: list

    async def call(self, name, **arguments):
        """A tool's structured answer; a refusal's, too."""

        async def heard(done, total, message):
            self.progress.append((done, total, message))

        result = await self.client.call_tool(name, arguments, progress_callback=heard)
        return told_by(result)

    async def until_it_rests(self, run):
        with anyio.fail_after(120):
            while (told := await self.call("release_status", run=run, wait_seconds=10))["state"] == "running":
                pass
        return told

    async def read(self, uri):
        (content,) = (await self.client.read_resource(uri)).contents
        return content.text


def environment(more):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "TZ": "UTC", **more}


@asynccontextmanager
async def over_stdio(project, more=(), mode="auto", **options):
    command, *arguments = PROGRAM
    server = StdioServerParameters(
        command=command, args=[*arguments, "mcp"], env=environment(dict(more)), cwd=project,
    )  # fmt: skip
    async with Client(stdio_client(server), mode=mode, **options) as client:
        yield Talk(client, [])


@asynccontextmanager
async def over_http(project, more=(), mode="auto", **options):
    with listening(project, dict(more)) as place:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as http,
            Client(streamable_http_client(place.url, http_client=http), mode=mode, **options) as client,
        ):
            yield Talk(client, [])


class listening:  # noqa: N801 - it reads as a sentence
    """A server over HTTP, for as long as the block."""

    def __init__(self, project, more=None, *arguments):
        self.call = (*PROGRAM, "mcp", "--http", "--port", "0", *arguments)
        self.project, self.environ = project, environment({"PILOTHOUSE_MCP_TOKEN": TOKEN, **(more or {})})

    def __enter__(self):
        self.server = subprocess.Popen(
            self.call, cwd=self.project, env=self.environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        self.said = self.server.stderr.readline()
        assert self.said.startswith("Listening on "), self.said + self.server.stderr.read()
        self.url = self.said.removeprefix("Listening on ").partition(";")[0]
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait(20)
        self.server.stderr.close()


@pytest.fixture(params=[over_stdio, over_http], ids=["stdio", "http"])
def connect(request):
    return request.param


@pytest.fixture
def stdio():
    return over_stdio


@pytest.fixture
def served():
    return listening


@pytest.fixture
def talking():
    """A client to a server that is there already."""

    @asynccontextmanager
    async def talk(url, token=TOKEN, **options):
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http), **options) as client,
        ):
            yield Talk(client, [])

    return talk
