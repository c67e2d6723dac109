"""A chat about a small real project: a remote whose base branch names a model, and a server that plays it."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager

from approvals.quay import CEO, Quay, policy
from approvals.terminals import ACCOUNT
from llm.model_server import KEY
from pilothouse.chat.session import Session
from pilothouse.render.screen import flat

MINE = {**CEO, "accounts": [ACCOUNT]}
PRICES = "{claude-sonnet-5: {input: '3.00', output: '15.00', cache_read: '0.30', cache_write: '3.75'}}"


def thinking(server, **models):
    """A policy whose models are played by a server."""
    told = {"base_url": server.url, "model": "claude-sonnet-5", **models}
    return policy(MINE) + f"models: {json.dumps(told)}\n"


def dock(folder, text):
    return Quay.build(folder, text)


class Talk:
    """A session, and everything that it has shown."""

    def __init__(self, project, environ):
        self.shown, self.width = [], 80
        self.session = Session(project, environ, lambda: self.width, self.shown.extend)

    def say(self, text):
        """What is answered to a line, as text; what the host would have to do is kept."""
        before = len(self.shown)
        self.heard = self.session.hear(text)
        return "\n".join(flat(spans) for spans in (*self.shown[before:], *self.heard.lines))

    @property
    def want(self):
        return self.heard.want


@contextmanager
def talking(project, **more):
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | more
    talk = Talk(project, environ)
    try:
        yield talk
    finally:
        talk.session.close()


def with_key(**more):
    return {"ANTHROPIC_API_KEY": KEY, **more}
