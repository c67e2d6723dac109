"""mcp: the server for agent chats, over standard input and output or over HTTP."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pilothouse.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilothouse.cli.surface import Surface

VARIABLE = "PILOTHOUSE_MCP_TOKEN"


def serve(
    surface: Surface, *, http: bool, host: str, port: int, token_variable: str, names: Sequence[str] = ()
) -> int:  # fmt: skip
    """Serve until the client goes away (standard input ends) or a signal comes.

    Raises:
        UsageError: ``no-project``, ``usage``, ``token-missing``, ``token-weak``, ``not-listening``.
    """
    if surface.json:
        raise UsageError("usage", "a server has no one answer in JSON; its protocol is JSON-RPC", "leave --json out")
    folder = surface.folder()
    environ = dict(os.environ)
    if not http:
        environ.pop(token_variable, None)
        os.environ.pop(token_variable, None)
        from pilothouse.mcp.server import build

        build(folder, environ).run("stdio")
        return EXIT_DONE
    from pilothouse.mcp import door
    from pilothouse.mcp.server import build

    token, file = door.token_for(host, token_variable, environ, folder)
    os.environ.pop(token_variable, None)

    def ready(address: str) -> None:
        where = f"the token is in {file}" if file else f"the token is what {token_variable} held"
        sys.stderr.write(f"Listening on {address}; {where}\n")
        sys.stderr.flush()

    try:
        door.serve(build(folder, environ), host, port, names, token, ready)
    finally:
        if file is not None:
            file.unlink(missing_ok=True)
    return EXIT_DONE
