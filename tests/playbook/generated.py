"""Files that code writes: JSON Schemas, and the tables of the docs. A test compares; this writes them anew:

python tests/playbook/generated.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pilothouse import config
from pilothouse.playbook import known, schema

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def expected() -> Mapping[Path, str]:
    """Every generated file with what it should hold."""
    schemas = {
        ROOT / "workflows" / "schema.json": schema.workflow_schema(),
        ROOT / "src" / "pilothouse" / "schemas" / "pilothouse.schema.json": config.schema(),
        ROOT / "src" / "pilothouse" / "schemas" / "persona.schema.json": schema.persona_schema(),
    }
    files = {path: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for path, content in schemas.items()}
    for name, table in (("configuration.md", _keys()), ("workflows.md", _references())):
        path = ROOT / "docs" / name
        files[path] = _between(path.read_text(encoding="utf-8"), table)
    return files


def _between(text: str, table: str) -> str:
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _keys() -> str:
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    whole = config.schema()
    rows += [f"| `{path}` | {kind} | {default} | {about} |" for path, kind, default, about in _walk(whole, whole, "")]
    return "\n".join(rows)


def _walk(node: Mapping[str, Any], whole: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, str, str]]:
    for key, raw in node.get("properties", {}).items():
        inner = _resolved(raw, whole)
        here = f"{path}.{key}".lstrip(".")
        default = f"`{json.dumps(inner['default'], ensure_ascii=False)}`" if "default" in inner else ""
        default = "**needed**" if key in node.get("required", ()) else default
        yield here, _kind(inner), default, raw.get("description", inner.get("description", "")).replace("|", "\\|")
        yield from _inside(inner, whole, here)


def _inside(inner: Mapping[str, Any], whole: Mapping[str, Any], here: str) -> Iterator[tuple[str, str, str, str]]:
    # Both environments have one shape: it is told once.
    if here.endswith("environments.staging"):
        return
    yield from _walk(inner, whole, here.replace("environments.production", "environments.*"))
    named = [
        *inner.get("patternProperties", {}).values(),
        *([inner["items"]] if isinstance(inner.get("items"), dict) else []),
    ]
    for other in named:
        yield from _inside(_resolved(other, whole), whole, f"{here}.*" if "patternProperties" in inner else f"{here}[]")
    for choice in (*inner.get("oneOf", ()), *inner.get("anyOf", ())):
        shape = _resolved(choice, whole)
        tag = next((value["const"] for value in shape.get("properties", {}).values() if "const" in value), None)
        yield from _walk(shape, whole, f"{here}({tag})" if tag else here)


def _resolved(node: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in node:
        return node
    return {
        **whole["$defs"][node["$ref"].rsplit("/", 1)[-1]],
        **{key: value for key, value in node.items() if key != "$ref"},
    }


def _kind(inner: Mapping[str, Any]) -> str:
    if "const" in inner:
        return f"`{inner['const']}`"
    if "enum" in inner:
        return ", ".join(f"`{word}`" for word in inner["enum"])
    if "oneOf" in inner or "anyOf" in inner:
        return "one of several shapes"
    if str(inner.get("pattern", "")).endswith("(ms|s|m|h|d)$"):
        return "duration"
    names = {
        "string": "text",
        "array": "list",
        "object": "mapping",
        "integer": "whole number",
        "boolean": "true or false",
    }
    return names[inner["type"]]


def _references() -> str:
    about = {
        "backup": "the backup of the last release, where there is one",
        "base_ref": "the branch that is released",
        "failure": "why a branch was taken",
        "from_sha": "the commit that is in production now",
        "from_version": "the version that is in production now",
        "product": "the product's name",
        "run_id": "the run's id",
        "ledger_head": "where the product's ledger stands: chain, seq and hash",
        "record": "what the run's release record says, as far as the run has come",
        "release": "what the release is called: acme-2026-11-21-01",
        "started_on": "the date on which the run started, pinned",
        "superseded_branch": "the release branch of the run that this one supersedes, or empty",
        "timeline": "the run's events so far, for the post-mortem",
        "to_sha": "the pinned commit: of a release what goes out, of a rollback where it goes back to",
        "to_version": "of a rollback: the version it goes back to",
    }
    rows = ["| `run:` | type | |", "|---|---|---|"]
    rows += [f"| `{name}` | {kind} | {about[name]} |" for name, kind in known.RUN.items()]
    rows += ["", "| `setting:` | type |", "|---|---|"]
    rows += [f"| `{name}` | {kind} |" for name, kind in known.SETTINGS.items()]
    rows += ["", "| step | keys |", "|---|---|"]
    rows += [f"| {kind} | {', '.join(f'`{key}`' for key in keys)} |" for kind, keys in known.STEP_KEYS.items()]
    return "\n".join(rows)


if __name__ == "__main__":
    for target, content in expected().items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
