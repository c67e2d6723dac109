"""Scripted agents: no model, no key, the same result every time.

A scripted verdict is the conjunction of the step's gates (REL-7): the guard has judged them before the agent is asked,
so what is left to say is *go*, with the evidence that was read.
"""

from __future__ import annotations

from collections.abc import Mapping

from pilothouse.canonical import Json
from pilothouse.model import Step, Verdict


class ScriptedPersonas:
    """Agents that go where every gate passes."""

    def verdict(self, step: Step, evidence: Mapping[str, Mapping[str, Json]]) -> Verdict:
        """Go, citing what was read."""
        gates = f"gates passed: {', '.join(step.gates)}" if step.gates else "nothing speaks against it"
        return Verdict("go", (gates,), tuple(sorted(evidence)))
