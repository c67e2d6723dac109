"""One event of the ledger in one line of words, for ``audit show``."""

from __future__ import annotations

from pilothouse import events as e
from pilothouse.render.acts import sentence
from pilothouse.render.text import count, safe, short


def told(event: e.Event) -> str:
    """What an event says; untrusted text is escaped and bounded."""
    return safe(_told(event.fact), 300)


def sentence_of(fact: e.Fact) -> str:
    """What a fact says, for where the name of its step stands above. It is not made safe yet."""
    place = str(getattr(fact, "step", "") or getattr(fact, "checkpoint", "") or getattr(fact, "at_step", ""))
    said = _told(fact)
    for before in (f"{place}: ", f"{place}, ", f"{place} "):
        if place and said.startswith(before):
            return said.removeprefix(before)
    return "" if said == place else said


def _told(fact: e.Fact) -> str:
    match fact:
        case e.Started():
            return (
                f"{fact.workflow} of {fact.product} {fact.from_version} from {short(fact.to_sha)}, by {fact.started_by}"
            )
        case e.Observed():
            return f"{fact.evidence} {fact.step}: {fact.summary or fact.tool}"
        case e.Judged():
            return f"{fact.step}/{fact.gate}: {'pass' if fact.passed else fact.reason_code}, {fact.message}"
        case e.VerdictGiven():
            return f"{fact.agent} says {fact.answer} at {fact.step} (by {fact.by}): {'; '.join(fact.reasons)}"
        case e.HoldLifted():
            return f"{fact.step}, by {fact.who}: {fact.reason}"
        case e.Planned():
            return f"{count(len(fact.acts), 'act')}, plan {short(fact.digest)}"
        case e.Skipped():
            return f"{fact.step}: {fact.why}"
        case e.Intended():
            return f"{fact.step}: {sentence(fact.tool, fact.arguments)}" + (
                f" (attempt {fact.attempt})" if fact.attempt > 1 else ""
            )
        case e.Done():
            return f"{fact.evidence} {fact.step}: {fact.summary}" + (" (found done)" if fact.found else "")
        case e.Failed() | e.Refused() | e.Halted():
            return f"{fact.step}: {fact.reason_code}, {fact.message}"
        case e.WatchOpened():
            return f"{fact.step} until {fact.ends_at[11:19]}"
        case e.Sampled() | e.WatchClosed():
            return f"{fact.step}: {fact.outcome}, {fact.message}"
        case e.Branched():
            return f"to {fact.branch} at {fact.at_step}, severity {fact.severity}: {fact.message}"
        case _:
            return _of_people(fact)


def _of_people(fact: e.Fact) -> str:
    match fact:
        case e.CheckpointOpened():
            changed = f", {count(len(fact.difference), 'difference')}" if fact.difference else ""
            return f"{fact.checkpoint}: approval {short(fact.approval_digest)}, until {fact.expires_at[:16]}{changed}"
        case e.CardVoided():
            return f"{fact.checkpoint}: {'; '.join(fact.difference)}"
        case e.WordDrawn():
            return f"{fact.checkpoint} on {fact.channel}"
        case e.WordSpent():
            return (
                f"{fact.checkpoint}: {'matched' if fact.matched else f'entered {fact.entered!r}, not {fact.presented}'}"
            )
        case e.Approved():
            how = f"({fact.channel}, {fact.authentication})"
            return f"{fact.checkpoint} by {fact.who} {how}, {short(fact.approval_digest)}"
        case e.Rejected():
            return f"{fact.checkpoint} by {fact.who}: {fact.reason}"
        case e.CheckpointExpired():
            return fact.checkpoint
        case e.Resumed():
            return f"by {fact.who} ({fact.channel})"
        case e.Settled():
            return f"{fact.step} as {fact.presence} by {fact.who}: {fact.reason}"
        case e.Aborted():
            return f"by {fact.who}: {fact.reason}"
        case e.Superseded():
            return f"by {fact.by}"
        case e.Ended():
            return f"{fact.outcome}: {fact.message}"
        case e.Notified():
            return (
                f"{fact.occasion} on {fact.channel}: {'told' if fact.delivered else f'not delivered, {fact.message}'}"
            )
        case _:
            return _of_policy(fact)


def _of_policy(fact: e.Fact) -> str:
    match fact:
        case e.Overridden() | e.Unlocked():
            return f"{fact.name} by {fact.who} ({fact.channel}, {fact.authentication}): {fact.reason}"
        case e.Allowed():
            return f"{fact.step} by {fact.who} ({fact.channel}, {fact.authentication})"
        case e.Locked():
            until = f", until {fact.expires_at[:16]}" if fact.expires_at else ""
            return f"{fact.name} by {fact.owner}{until}: {fact.reason}"
        case e.Validated():
            noted = f": {fact.note}" if fact.note else ""
            return f"{fact.item} of {short(fact.sha)}: {fact.answer}, by {fact.who}{noted}"
        case _:
            return _of_models(fact)


def _of_models(fact: e.Fact) -> str:
    match fact:
        case e.Consulted():
            return f"{fact.step}: {fact.agent} is asked on {fact.model} ({fact.about})"
        case e.ModelAnswered():
            calls = [str(block.get("name")) for block in fact.content if block.get("type") == "tool_use"]
            said = " ".join(str(block.get("text", "")) for block in fact.content if block.get("type") == "text")
            does = f"calls {', '.join(calls)}" if calls else said or fact.stop
            return f"{fact.step}, turn {fact.turn + 1}, {count(fact.tokens, 'token')}: {does}"
        case e.ToolAnswered():
            return f"{fact.step}: {fact.tool}{' failed' if fact.failed else ''}: {fact.result}"
        case e.FellBack():
            return f"{fact.step}: {fact.agent} goes on scripted, {fact.reason_code}, {fact.message}"
        case e.ModelMissed():
            return f"{fact.step}: {fact.agent} waits for a model, {fact.reason_code}, {fact.message}"
        case e.Advised():
            recommends = f"; recommends {fact.recommends}" if fact.recommends else ""
            return f"{fact.step}: {fact.agent} on {fact.by}, severity {fact.severity}: {fact.message}{recommends}"
        case e.HandedOff():
            refs = f" ({', '.join(fact.refs)})" if fact.refs else ""
            return f"{fact.step}: {fact.giver} to {fact.receiver}, {fact.reason_code}{refs}"
        case _:
            return ""
