"""Schemas and tables are written by code, shipped, and agree with what reads the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pilothouse import config, yamlfile
from pilothouse.errors import InvalidFile
from pilothouse.playbook import schema
from pilothouse.playbook.find import list_personas, list_workflows
from playbook.generated import ROOT, expected
from playbook.samples import CONFIG, PERSONA, WORKFLOW, spoil
from playbook.test_bad_input import CONFIGURATION, FLOW, ROLE, Bad

FILES = expected()
# What a schema says itself; the rest needs more than one place of the file, or the world around it.
SAID_BY_THE_SCHEMA = {
    "misspelt-top-key", "misspelt-product-key", "misspelt-required-key", "third-environment", "version-2", "bare-number-duration",
    "unknown-unit-of-time", "list-for-text", "text-for-list", "text-for-flag", "bad-product-name", "repository-url", "other-forge",
    "credential-value", "deploy-model", "deploy-model-missing", "push-with-command-keys", "command-as-text", "threshold-without-unit",
    "latency-without-quantile", "error-rate-with-quantile", "threshold-zero", "restore-word",
    "schema", "top-key", "phase-key", "step-key", "kind-key", "two-kinds", "no-kind", "act-that-reads", "checkpoint-on-observe",
    "conditional-checkpoint", "id-case", "unknown-run-value", "unknown-setting", "unknown-form", "two-forms", "gate-age", "branch-ends",
    "no-phases", "null-argument",
    "unknown-key", "unknown-inner-key", "no-tools", "hooks", "no-role", "flag-as-text", "description-short",
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_generated_file_is_what_the_code_writes(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == FILES[path], "run: python tests/playbook/generated.py"


def _validator(of: dict[str, Any]) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(of)
    return jsonschema.Draft202012Validator(of)


def _front_matter(text: str) -> Any:
    return yamlfile.load(text.split("---\n")[1], "front matter").data


def test_the_schemas_accept_the_shipped_files() -> None:
    flows, roles = _validator(schema.workflow_schema()), _validator(schema.persona_schema())
    for found in list_workflows():
        flows.validate(yamlfile.load(found.text(), found.shown).data)
    for found in list_personas():
        roles.validate(_front_matter(found.text()))
    _validator(config.schema()).validate(yamlfile.load(CONFIG, "pilothouse.yml").data)


@pytest.mark.parametrize(
    "case", [case for case in (*CONFIGURATION, *FLOW, *ROLE) if case.id in SAID_BY_THE_SCHEMA], ids=lambda case: case.id
)
def test_the_schemas_refuse_what_the_code_refuses(case: Bad) -> None:
    sample, read = (
        (CONFIG, config.schema()) if case in CONFIGURATION
        else (WORKFLOW, schema.workflow_schema()) if case in FLOW
        else (PERSONA, schema.persona_schema())
    )  # fmt: skip
    text = spoil(sample, case.old, case.new)
    data = _front_matter(text) if case in ROLE else yamlfile.load(text, "spoilt").data
    assert not _validator(read).is_valid(data)


def test_no_schema_refuses_what_the_code_reads() -> None:
    """A case that the code accepts on its own account must not be an error in the editor."""
    accepts = (
        ("window: 6s", "window: 3d"), ("tag_prefix: v", 'tag_prefix: ""'), ("tag_prefix: v", "tag_prefix: acme/v"),
        ("    title: Acme\n", ""), ("checks: [unit, lint]", "checks: []"), ("restore: auto", "restore: ask"),
    )  # fmt: skip
    for old, new in accepts:
        text = spoil(CONFIG, old, new)
        config.parse(text)
        _validator(config.schema()).validate(yamlfile.load(text, "pilothouse.yml").data)


def test_the_smallest_configuration_of_the_docs_is_one() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    smallest = text.split("## The smallest one")[1].split("```yaml\n")[1].split("```")[0]
    assert set(config.parse(smallest).products) == {"acme"}
    with pytest.raises(InvalidFile):
        config.parse(smallest.replace("url:", "urll:"))
