"""Laws about roles, the network and rehearsals."""

from __future__ import annotations

import ipaddress

from hypothesis import example, given
from hypothesis import strategies as st

from laws.worlds import LAW, Clock, go, world_of
from pilothouse.engine.rehearse import rehearse
from pilothouse.ledger.memory import MemoryJournal
from pilothouse.model import Kind
from pilothouse.playbook import persona
from pilothouse_tools import web
from playbook.samples import PERSONA
from playbook.specs import AGENTS, TOOL_KINDS
from story import started
from toyworld import ToyTools

CLAUDE = st.lists(st.sampled_from(["Read", "Grep", "Write", "Bash", "WebFetch", "Task"]), min_size=1, unique=True)
OURS = st.lists(st.sampled_from(sorted(TOOL_KINDS)), unique=True, max_size=2)
POWERS = st.sets(st.sampled_from(persona.POWERS))


@LAW
@given(CLAUDE, OURS, OURS, POWERS)
@example(["Read"], ["git.contents"], [], {"untrusted_input", "secrets"})
@example(["Read", "Write"], ["git.contents"], [], {"untrusted_input", "state_change"})
def test_i37_a_role_reads_and_drafts_and_has_at_most_one_power(tools, observes, drafts, powers):
    head, _, body = PERSONA.removeprefix("---\n").partition("---\n")
    head = "\n".join(line for line in head.split("\n") if line.startswith(("name:", "description:", "model:")))
    rows = [f"  {name}: true" for name in sorted(powers)]
    ours = [
        "pilothouse:",
        "  role: QA Engineer",
        f"  observes: [{', '.join(observes)}]",
        f"  drafts: [{', '.join(drafts)}]",
        *rows,
    ]
    text = f"---\n{head}\ntools: [{', '.join(tools)}]\n" + "\n".join(ours) + f"\n---\n{body}"
    if persona.lint(text, "agents/qa-engineer.md", TOOL_KINDS, AGENTS):
        return
    assert all(TOOL_KINDS[name] is Kind.OBSERVE for name in observes)
    assert all(TOOL_KINDS[name] is Kind.DRAFT for name in drafts)
    reads_strangers = bool(set(observes) & persona.UNTRUSTED or {"WebFetch"} & set(tools))
    changes = bool({"Write", "Bash", "Task"} & set(tools))
    assert reads_strangers + changes + ("secrets" in powers) <= 1
    assert len(powers) <= 1


NETWORKS = (
    "169.254.0.0/16", "127.0.0.0/8", "10.0.0.0/8", "192.168.0.0/16", "100.64.0.0/10", "224.0.0.0/4", "240.0.0.0/4", "0.0.0.0/8",
    "8.8.8.0/24", "fe80::/10", "fc00::/7", "ff00::/8", "::ffff:0:0/96", "64:ff9b::/96", "2002::/16", "2606:4700::/32",
)  # fmt: skip
ADDRESSES = st.one_of(st.ip_addresses(), *(st.ip_addresses(network=network) for network in NETWORKS))


@LAW
@given(st.lists(ADDRESSES, min_size=20, max_size=20))
def test_i39_health_is_asked_for_at_no_address_that_a_stranger_could_mean(addresses):
    for address in [*addresses, ipaddress.ip_address("169.254.169.254"), ipaddress.ip_address("169.254.7.7")]:
        for allow_private in (False, True):
            if web.address_problem(address, allow_private=allow_private):
                continue
            inner = getattr(address, "ipv4_mapped", None) or address
            assert not (inner.is_link_local or inner.is_multicast or inner.is_unspecified)
            shared = inner.version == 4 and inner in ipaddress.ip_network("100.64.0.0/10")
            assert inner.is_global or (allow_private and (inner.is_private or shared))


INPUTS = st.dictionaries(st.sampled_from(["version", "note"]), st.sampled_from(["", "1.4.0"]))


@LAW
@given(INPUTS, st.booleans(), st.booleans())
def test_i40_a_rehearsal_does_nothing_and_has_the_plan_of_the_real_run(inputs, healthy, dry):
    journal, real = MemoryJournal(), MemoryJournal()
    at = "2026-11-21T09:00:00.000000+00:00"
    flagged = {**inputs, "dry_run": True} if dry else inputs
    journal.append("acme", "r-1", [started(workflow="toy", inputs=flagged)], at)
    real.append("acme", "r-1", [started(workflow="toy", inputs=inputs)], at)
    tools = ToyTools(healthy=healthy)
    rehearsed, problems = rehearse("r-1", world_of(tools, journal=journal, clock=Clock()))
    assert (tools.calls, tools.world) == ({}, {})
    assert not [event for event in journal.read("acme") if event.kind == "Intended"]
    assert bool(problems) == (not healthy)
    world = world_of(journal=real)
    assert go(world).state.plan.digest == rehearsed.plan.digest
