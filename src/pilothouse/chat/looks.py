"""What a model in a chat may do: look, through the facade, and propose an order that a person starts. Nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilothouse import config, reasons
from pilothouse.canonical import Json
from pilothouse.chat import orders
from pilothouse.chat.answers import times_of, wanted
from pilothouse.chat.questions import holds_a_word
from pilothouse.errors import NothingToDo, PilothouseError, RequestRefused, UsageError
from pilothouse.render import promotion
from pilothouse.render.acts import listing, number, sentence
from pilothouse.render.course import needed
from pilothouse.views import detailed_json, run_json

if TYPE_CHECKING:
    from pilothouse.app import Pilothouse
    from pilothouse.chat.orders import Order
    from pilothouse.guard.policy import Constraints
    from pilothouse.guard.state import RunState

LONGEST = 12_000  # characters of a result
_MOST_RUNS = 10
_TEXT: Json = {"type": "string"}


def _tool(name: str, about: str, **properties: str) -> Json:
    shapes: dict[str, Json] = {key: {"type": "string", "description": told} for key, told in properties.items()}
    schema: Json = {"type": "object", "properties": shapes, "required": [], "additionalProperties": False}
    return {"name": name, "description": about, "input_schema": schema}


TOOLS: tuple[Json, ...] = (
    _tool("run_status", "Where a run stands, step by step, and what is wanted of whom.",
          run="the run's id; empty: the open one, or the latest"),
    _tool("list_runs", "The latest runs of this project."),
    _tool("next_release", "What the next release of a product holds, its checks and plan. Takes seconds to minutes; "
          "changes nothing.", product="which product"),
    _tool("explain_code", "What a reason code means and what to do.", code="the code, such as ci-red"),
    _tool("policy_in_force", "Freezes and locks that hold a product now, and who may approve it.",
          product="which product"),
    _tool("propose_order", "Have the host show an order to the person, who starts it or not. Starts nothing. Never for "
          "an approval.", do="ship, rollback, resume, abort or status", product="of a ship or rollback",
          version="X.Y.Z, major, minor, patch, or empty; of a rollback: the target", run="of resume, abort, status",
          severity="of a rollback: critical, high, medium or low", reason="of a rollback or abort: the person's own"),
)  # fmt: skip


@dataclass(slots=True)
class Looks:
    """The tools of one turn.

    Args:
        app: the facade, open.
        rehearse: every check of a product's next release.
        held: what holds a product now, by the policy on its base branch.
        at_work: whether anybody is at work on a run.
        notice: tells the person what is looked at.
    """

    app: Pilothouse
    rehearse: Callable[[str], tuple[RunState, list[str]]]
    held: Callable[[str], Constraints]
    at_work: Callable[[RunState], bool]
    notice: Callable[[str], None]
    order: Order | None = field(default=None)

    def call(self, name: str, given: Mapping[str, Json]) -> tuple[str, bool]:
        """What a tool says, and whether it failed. What others wrote in it stands within a fence."""
        known = {
            "run_status": self._status, "list_runs": self._runs, "next_release": self._next,
            "explain_code": self._explain, "policy_in_force": self._policy, "propose_order": self._propose,
        }  # fmt: skip
        tool = known.get(name)
        if tool is None:
            return f"there is no tool {name[:80]!r} here; there are: {', '.join(known)}", True
        try:
            return fenced(name, tool(given)), False
        except NothingToDo as nothing:
            return fenced(name, {"nothing_to_do": nothing.message, "hint": nothing.hint}), False
        except PilothouseError as error:
            return fenced(name, {"reason_code": error.reason_code, "message": error.message, "hint": error.hint}), True

    def _status(self, given: Mapping[str, Json]) -> Json:
        state = self.app.find(_text(given, "run"))
        told = detailed_json(state, times_of(self.app, state))
        acts = state.plan.acts if state.plan else ()
        told["wanted"] = wanted(state, at_work=not state.over and self.at_work(state))
        told["still_needed"] = [*needed(state)]
        told["approvals"] = [
            {"checkpoint": name, "who": given.who, "channel": given.channel, "authentication": given.authentication}
            for name, known in state.checkpoints.items()
            for given in known.approvals
        ]
        told["plan"] = [sentence(act.tool, act.arguments) for act in acts if act.branch == "main"]
        return told

    def _runs(self, _given: Mapping[str, Json]) -> Json:
        return {"runs": [run_json(state) for state in self.app.runs()[-_MOST_RUNS:]]}

    def _next(self, given: Mapping[str, Json]) -> Json:
        product = self._product(given)
        self.notice(f"looking at the next release of {product}; nothing is changed")
        state, problems = self.rehearse(product)
        return summary(state, problems)

    def _explain(self, given: Mapping[str, Json]) -> Json:
        found = reasons.find(_text(given, "code"))
        return {"code": found.code, "kind": found.kind, "means": found.means, "what_to_do": found.advice}

    def _policy(self, given: Mapping[str, Json]) -> Json:
        product = self._product(given)
        found = self.held(product)
        blocks: list[Json] = [
            {"kind": item.kind, "name": item.name, "reason": item.reason, "owner": item.owner, "until": item.until}
            for item in found.blocks
        ]
        return {"product": product, "held_by": blocks, "opens": found.opens, "approval": "a person, at this terminal"}

    def _propose(self, given: Mapping[str, Json]) -> Json:
        products = tuple(config.load(self.app.project).products)
        # A wording that holds a word of approval has no business on a screen where words are typed.
        if any(isinstance(value, str) and holds_a_word(value) for value in given.values()):
            raise UsageError("usage", "an order holds no word of approval")
        order = orders.proposed(given, products)
        if order.do == "ship" and order.request is not None:
            self._demand_free(order.request.product)
        if order.request is None:
            order = orders.Order(order.do, run=self.app.find(order.run).run, reason=order.reason)
        self.order = order
        return {"shown": "the person sees the order after your answer, and starts it or not; nothing was started"}

    def _demand_free(self, product: str) -> None:
        from pilothouse.guard.policy import refusal

        refused = refusal(self.held(product), "")
        if refused is not None:
            raise RequestRefused(refused.reason_code, refused.message, refused.hint.replace("PRODUCT", product))

    def _product(self, given: Mapping[str, Json]) -> str:
        products = tuple(config.load(self.app.project).products)
        name = _text(given, "product") or (products[0] if len(products) == 1 else "")
        if name not in products:
            raise UsageError("unknown-product", f"there is no product {name[:60]!r}", ", ".join(products))
        return name


def summary(state: RunState, problems: list[str]) -> Json:
    """A rehearsed run, as far as its contents, checks and plan go."""
    facts = state.facts()
    told: dict[str, Json] = {
        "product": state.started.product, "workflow": state.started.workflow,
        "from_version": state.started.from_version, "version": facts.get("version", {}).get("version"),
        "gates": [{"gate": gate, "passed": judged.passed, "message": judged.message}
                  for (_, gate), judged in state.judged.items()],
        "plan": [sentence(act.tool, act.arguments) for act in (state.plan.acts if state.plan else ())
                 if act.branch == "main"],
        "would_be_refused_now": list(problems),
    }  # fmt: skip
    if "contents" not in facts:
        return {**told, "contents": "not known: they could not be looked at"}
    return {**told, **(_promoted(state, facts) if promotion.is_promotion(state) else _changed(facts))}


def _promoted(state: RunState, facts: dict[str, dict[str, Json]]) -> dict[str, Json]:
    """What a promotion moves: the summary that stands on its card."""
    table: dict[str, Json] = {label: [*texts] for label, *texts in promotion.rows(state, facts, -promotion.ROOMY)}
    return {"moves": promotion.headline(state, facts), "contents": facts["contents"].get("counts"), "summary": table}


def _changed(facts: dict[str, dict[str, Json]]) -> dict[str, Json]:
    contents = facts["contents"]
    kinds = ("breaking", "features", "fixes", "improvements", "dependencies")
    changes: dict[str, Json] = {
        kind: [{key: item[key] for key in ("summary", "number", "name", "old", "new") if key in item}
               for item in listing(contents, kind)[:40]] for kind in kinds
    }  # fmt: skip
    pending = listing(facts.get("production-migrations", {}), "pending")
    return {
        "commits": number(contents, "commits"), "changes": changes,
        "migrations": [{"name": item.get("name"), "undo": item.get("undo")} for item in pending],
    }  # fmt: skip


def fenced(source: str, value: Json) -> str:
    """JSON within a fence that nothing inside can close."""
    text = json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
    cut = f" … {len(text) - LONGEST} characters more" if len(text) > LONGEST else ""
    return f'<data from="{source}" trust="none">\n{text[:LONGEST]}{cut}\n</data>'


def _text(given: Mapping[str, Json], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > 200:
        raise UsageError("usage", f"{name} is no short text")
    return value.strip()
