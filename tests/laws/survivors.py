"""Why a mutant of ``make mutation`` may survive: by its id, as the run tells it."""

from __future__ import annotations

_ALWAYS = "no difference can be seen: "

REASONS: dict[str, str] = {
    "guard/decide.py unhandled: act is not None and act.failed and (act.open is None) and (act.failed_seq > state.resumed_seq) → "
    "act is not None and act.failed and (act.failed_seq > state.resumed_seq)": _ALWAYS
    + "the fold forgets a failure with the next intent",
    "guard/decide.py _decide_act: state.plan is None or planned is None → planned is None": _ALWAYS
    + "without a plan nothing is planned",
    "guard/decide.py _outlived: return False → return None": _ALWAYS + "both are false",
    "guard/decide.py _outlived: known is not None and expired(known, now) → expired(known, now)": _ALWAYS
    + "it is asked only of a checkpoint that was approved",
    "guard/fold_acts.py _void_on_change: fact.reason_code == 'plan-changed' and act.open and act.open.approval_digest → "
    "fact.reason_code == 'plan-changed' and act.open.approval_digest": _ALWAYS
    + "the act is open: that was looked at just before",
    "guard/fold_acts.py _void_on_change: fact.reason_code == 'plan-changed' and act.open and act.open.approval_digest → "
    "fact.reason_code == 'plan-changed' and act.open": _ALWAYS + "no approval has no digest",
    "guard/fold_acts.py _check_intent: state.plan is None or planned is None → planned is None": _ALWAYS
    + "without a plan nothing is planned",
    **{
        f"guard/fold_acts.py _check_approved: known and known.opened → {now}": _ALWAYS
        + "what is approved is known and open"
        for now in ("known or known.opened", "known.opened", "known")
    },
    "guard/fold_checkpoints.py is_wrong: not fact.matched and fact.entered not in ('', fact.presented) → "
    "fact.entered not in ('', fact.presented)": _ALWAYS + "what matched is what was presented",
    "guard/fold_checkpoints.py _check_approval: refusal is not None or clearance is None → refusal is not None": _ALWAYS
    + "without a clearance there is a refusal",
    "guard/gates.py ci_green: state == 'failure' and name not in bad → state == 'failure'": _ALWAYS
    + "the same name gets the same state again",
    "guard/gates.py is_stale: return False → return None": _ALWAYS + "both are false",
    "guard/gates.py to_look_again: evidence.seq < state.resumed_seq → evidence.seq <= state.resumed_seq": _ALWAYS
    + "an event has a number of its own",
    "guard/gates.py to_look_again: evidence.seq < state.void_seq → evidence.seq <= state.void_seq": _ALWAYS
    + "an event has a number of its own",
    **{
        f"guard/policy.py window: 1 → 2{nth}": _ALWAYS
        + "only how far around a moment windows are looked for, more than far enough"
        for nth in ("", " #1")
    },
    "guard/policy.py window: until > found[1] → until >= found[1]": "two windows of one freeze end at once only in an hour that "
    "clocks leave out, and it is all the same which of the two is told",
    **{
        f"guard/policy.py _recurring: {was} → {now}": _ALWAYS
        + "the ends of the span lie a day beyond every window that can cover the moment"
        for was, now in (("begin <= before", "begin < before"), ("begin >= after", "begin > after"))
    },
    "guard/state.py RunState.standing: c.opened and (not c.approved) and (not c.closed) → c.opened and (not c.approved)": _ALWAYS
    + "a run whose checkpoint is closed is aborted, which is said first",
    "engine/perform.py _go_on: act.effect is not EffectClass.HUMAN or crashed → act.effect is not EffectClass.HUMAN": _ALWAYS
    + "an interrupted act of class H has asked a person before",
    **{
        f"engine/perform.py _apply: break → continue{nth}": _ALWAYS + "the loop comes to the same question again"
        for nth in ("", " #1")
    },
}
