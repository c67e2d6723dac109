"""An MCP server over HTTP: messages by the rules against server-side request forgery (I39), answers bounded."""

from __future__ import annotations

import ipaddress
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx2

    from pilothouse_tools.mcpfile import Address

_BODY = 16 << 20  # bytes of one answer
_DOWN = frozenset({401, 403, 408, 425, 429})  # and all from 500 on: the service has not looked at the call


@asynccontextmanager
async def streams(address: Address, note: Callable[[int], None], seconds: float) -> AsyncIterator[Any]:
    """The two streams of messages, as the SDK's client takes them.

    Args:
        address: where the server is.
        note: is told the status of an answer that says that nobody looked at a call.
        seconds: that each read, write and connection may take.
    """
    import httpx2
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client

    async def watch(answer: httpx2.Response) -> None:
        code = answer.status_code
        if answer.request.method == "POST" and (code in _DOWN or code >= 500):
            note(code)

    def client(*_: object, **__: object) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers={"User-Agent": "pilothouse", **address.headers},
            transport=_judged(address),
            timeout=seconds,
            trust_env=False,
            event_hooks={"response": [watch]},
        )

    if address.transport == "sse":
        async with sse_client(address.url, httpx_client_factory=client) as both:
            yield both
        return
    async with client() as http, streamable_http_client(address.url, http_client=http) as both:
        yield both


def _judged(address: Address) -> httpx2.AsyncBaseTransport:
    """HTTP by the rules against server-side request forgery (I39): each connection to an address that was judged."""
    import httpx2

    plain = address.url.startswith("http:")

    class Judged(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            import anyio

            url = request.url
            port = url.port or (443 if url.scheme == "https" else 80)
            try:
                found = await anyio.to_thread.run_sync(partial(web.resolve, url.host, port, allow_private=True))
            except Unreachable:
                raise
            except ToolFailed as refused:
                raise ToolFailed(refused.reason_code, refused.message, "mend the server's url in .mcp.json") from None
            # Plain HTTP is for this machine alone: a name such as localhost must not lead elsewhere.
            if plain != (url.scheme == "http") or (plain and not ipaddress.ip_address(found).is_loopback):
                message = f"{url.host} is not where .mcp.json says the server is"
                raise ToolFailed("address-refused", message, "mend the server's url in .mcp.json")
            request.extensions = {**request.extensions, "sni_hostname": url.host}
            request.url = url.copy_with(host=found)
            answer = await super().handle_async_request(request)
            request.url = url
            answer.stream = _Bounded(cast("httpx2.AsyncByteStream", answer.stream))
            return answer

    class _Bounded(httpx2.AsyncByteStream):
        def __init__(self, inner: httpx2.AsyncByteStream) -> None:
            self._inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for part in self._inner:
                size += len(part)
                if size > _BODY:
                    raise httpx2.ReadError(f"more than {_BODY} bytes")
                yield part

        async def aclose(self) -> None:
            await self._inner.aclose()

    return Judged(verify=not plain, trust_env=False)
