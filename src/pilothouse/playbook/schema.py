"""JSON Schemas of workflows and of persona front matter, made from the same tables that read them.

Editors complete and check with them; what a schema cannot say (names that must exist, reach) ``check`` and ``lint`` do.
"""

from __future__ import annotations

from typing import Any

from pilothouse.model import Kind
from pilothouse.playbook import known, persona

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAME = {"type": "string", "pattern": f"^{known.IDENTIFIER.pattern}$"}
_LINE = {"type": "string", "minLength": 1, "maxLength": 200}
_NAMES = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}

_ABOUT = {
    "id": "the step's name, unique in the workflow",
    "title": "its name for people",
    "agent": "the role it belongs to; default: its phase's",
    "needs": "earlier steps; a needed verdict must not be hold",
    "gates": "gates that must pass first",
    "with": "the tool's arguments: literals and references",
    "when": "a condition; where it is false the step is left out",
    "on_failure": "the branch that follows a failure, or stop",
    "reads": "earlier steps whose evidence is judged; of a watch: its baseline",
    "asks_unless": "in a branch: a gate; where it fails, a person is asked",
    "observe": "the observe tool",
    "draft": "the draft tool",
    "act": "the act tool",
    "verdict": "the brief in prompts/briefs",
    "checkpoint": "the question; of an act: the checkpoint that covers it",
    "watch": "the observe tool that samples",
}


def workflow_schema() -> dict[str, Any]:
    """The JSON Schema of workflows/NAME.yml."""
    phase = _mapping(
        {
            "id": _NAME,
            "title": _LINE,
            "agent": _NAME,
            "steps": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}},
        },
        ["id", "steps"],
    )
    phases = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/phase"}}
    branch = _mapping({"title": _LINE, "ends": {"enum": list(known.ENDS)}, "phases": phases}, ["ends", "phases"])
    gate = _mapping(
        {"rule": _NAME, "on": _NAME, "max_age": {"type": "string", "pattern": r"^\d{1,5}(s|m|h|d)$"}}, ["rule", "on"]
    )
    declared = _mapping(
        {
            "type": {"enum": list(known.INPUT_TYPES)},
            "default": {"type": ["string", "integer", "boolean"]},
            "about": _LINE,
        },
        ["type", "default"],
    )
    top = _mapping(
        {
            "schema": {"const": known.SCHEMA},
            "name": _NAME,
            "title": _LINE,
            "summary": _LINE,
            "asks": {"enum": list(known.ASKS), "description": "each act outside a checkpoint waits for a person's go"},
            "inputs": _named(declared),
            "gates": _named(gate),
            "phases": phases,
            "branches": _named(branch),
        },
        ["schema", "name", "phases"],
    )
    steps = {"oneOf": [_step(kind) for kind in Kind]}
    definitions = {
        "phase": phase,
        "step": steps,
        "value": _value(),
        "reference": _reference(),
        "condition": _condition(),
    }
    return {"$schema": _DIALECT, "title": "Pilothouse workflow", **top, "$defs": definitions}


def persona_schema() -> dict[str, Any]:
    """The JSON Schema of the front matter of agents/NAME.md."""
    flag = {"type": "boolean", "default": False}
    ours = _mapping(
        {
            "role": _LINE,
            "observes": _NAMES,
            "drafts": _NAMES,
            "handoffs": _NAMES,
            **dict.fromkeys(persona.POWERS, flag),
        },
        ["role"],
    )
    tools = {"oneOf": [{"type": "string", "minLength": 1}, _NAMES]}
    top = _mapping(
        {
            "name": _NAME,
            "description": {"type": "string", "minLength": 40, "maxLength": 600},
            "tools": tools,
            "model": {"type": "string"},
            "color": {"type": "string"},
            "pilothouse": ours,
        },
        ["name", "description", "tools", "pilothouse"],
    )
    return {"$schema": _DIALECT, "title": "Pilothouse persona (front matter)", **top}


def _mapping(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": required}


def _named(inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "propertyNames": _NAME, "additionalProperties": inner}


def _step(kind: Kind) -> dict[str, Any]:
    shapes: dict[str, dict[str, Any]] = {
        "id": _NAME,
        "title": _LINE,
        "agent": _NAME,
        "needs": _NAMES,
        "gates": _NAMES,
        "reads": _NAMES,
        "with": {"type": "object", "additionalProperties": {"$ref": "#/$defs/value"}},
        "when": {"$ref": "#/$defs/condition"},
        "on_failure": _NAME,
        "asks_unless": _NAME,
        "checkpoint": _NAME if kind is Kind.ACT else _LINE,
        **dict.fromkeys(("observe", "draft", "act", "verdict", "watch"), _LINE),
    }
    keys = {key: {**shapes[key], "description": _ABOUT[key]} for key in known.STEP_KEYS[kind]}
    return {"title": str(kind), **_mapping(keys, ["id", str(kind)])}


def _reference() -> dict[str, Any]:
    forms = {
        "ref": {"type": "string", "description": "an earlier step's result: step.fact, or step for all of them"},
        "input": {"type": "string", "description": "an input of this workflow"},
        "setting": {"enum": sorted(known.SETTINGS), "description": "what pilothouse.yml says about the product"},
        "run": {"enum": sorted(known.RUN), "description": "what the run is bound to"},
    }
    return {"oneOf": [_mapping({form: shape}, [form]) for form, shape in forms.items()]}


def _value() -> dict[str, Any]:
    scalar = {"type": ["string", "integer", "boolean"]}
    return {"oneOf": [scalar, {"type": "array", "items": scalar}, {"$ref": "#/$defs/reference"}]}


def _condition() -> dict[str, Any]:
    attempted = _mapping({"attempted": {**_NAMES, "minItems": 1}}, ["attempted"])
    return {"oneOf": [{"$ref": "#/$defs/reference"}, attempted]}
