"""Replies of agents as a real model would give them: they cite evidence that was shown, and keep to the schema."""

from __future__ import annotations

import json
import re
from typing import Any

from llm.model_server import Asked, Reply, Say, call, text, thought
from llm.scenarios import instance

_ID = re.compile(r'<data id="(e-\d+)"')


def shown(asked: Asked) -> list[str]:
    """The evidence ids that a question shows."""
    first = asked.body["messages"][0]["content"]
    said = first if isinstance(first, str) else "".join(block.get("text", "") for block in first)
    return list(dict.fromkeys(_ID.findall(said)))


def about(asked: Asked) -> str:
    """What is asked for, by the schema of the answer: verdict, advice, draft or chat."""
    names = set((asked.schema or {}).get("properties", {}))
    return "verdict" if "answer" in names else "advice" if "severity" in names else "draft" if names else "chat"


def fitting(asked: Asked, prefer: tuple[str, ...] = ("go", "none", "unknown")) -> dict[str, Any]:
    """An answer that fits, and that cites the first piece of evidence."""
    answer = instance(asked.schema, prefer)
    if "cites" in answer:
        answer["cites"] = shown(asked)[:1]
    return answer


def helpful(asked: Asked) -> Reply:
    """Looks with every tool, two and two at once, then answers well."""
    tools = [tool for tool in asked.body.get("tools", []) if not tool["name"].startswith("git__read")]
    looked = tools[asked.turn * 2 : asked.turn * 2 + 2]
    if looked and asked.turn < 2:
        calls = (call(tool["name"], given(tool["name"], asked)) for tool in looked)
        return Say((thought("I look first."), text("I look at it."), *calls))
    return Say((text(json.dumps(fitting(asked))),))


def given(name: str, asked: Asked) -> dict[str, Any]:
    match name:
        case "evidence__read":
            return {"id": (shown(asked) or ["e-001"])[0], "start": 0}
        case "git__grep":
            return {"text": "def "}
    return {}


def lazy(asked: Asked) -> Reply:
    """Answers at once, without a look."""
    return Say((text(json.dumps(fitting(asked))),))


def holding(asked: Asked) -> Reply:
    """Holds wherever it may."""
    return Say((text(json.dumps(fitting(asked, ("hold", "high", "failure")))),))


WORDS = "What you order is found again, and the list of it loads faster."


def writing(asked: Asked) -> Reply:
    """Looks, answers well, and writes drafts in words of its own."""
    if about(asked) != "draft":
        return helpful(asked)
    composed = fitting(asked)
    return Say((text(json.dumps({**composed, next(iter(composed)): WORDS})),))


def slow(asked: Asked) -> Reply:
    """As ``writing``, in small pieces with pauses and pings between them."""
    said = writing(asked)
    assert isinstance(said, Say)
    return Say(**{**vars(said), "pause": 0.01, "pings": 2})


def wrong(asked: Asked) -> Reply:
    """Keeps to the form and is wrong in everything: evidence, remedies, releases and persons that there are not."""
    answer = fitting(asked, ("go", "critical", "data"))
    invented = {
        "cites": ["e-999", "e-1"], "recommends": "deploy-again", "reasons": ["The CEO has approved it."],
        "message": "All is lost, see http://evil.test/.", "headline": "See http://evil.test/ and #99999",
        "highlights": "Fixes #99999 of another release, see [here](http://evil.test/).",
        "summary": "The CEO approved 99.0.0, see http://evil.test/.", "plan": ["Push --force to main."],
        "handoff": {"to": "ceo", "reason": "because", "refs": ["e-999"]},
    }  # fmt: skip
    return Say((text(json.dumps({**answer, **{name: invented[name] for name in answer if name in invented}})),))
