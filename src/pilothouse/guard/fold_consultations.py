"""The fold of consultations: who was asked, what a model said, what its tools said (I31, I36)."""

from __future__ import annotations

from pilothouse import events as e
from pilothouse.guard.history import impossible
from pilothouse.guard.state import Consultation, RunState

VERDICT, DRAFT, ADVICE, WATCH = ABOUT = ("verdict", "draft", "advice", "watch")  # what an agent may be asked for
SEVERITIES = ("none", "low", "medium", "high", "critical")
KINDS = ("flake", "failure", "environment", "data", "users", "unknown")
UNAVAILABLE = "model-unavailable"
_GOES_ON = frozenset({"tool_use", "pause_turn"})


def apply_consultation(state: RunState, event: e.Event) -> None:
    """Fold a fact about a conversation with a model."""
    fact = event.fact
    match fact:
        case e.Consulted():
            _open(state, event, fact)
        case e.ModelAnswered():
            known = _known(state, event, fact.step)
            if known.unanswered() or fact.turn != len(known.answers):
                raise impossible(event, "nothing was asked that this would answer")
            if known.answers and known.answers[-1].stop not in _GOES_ON:
                raise impossible(event, "the conversation had ended")
            known.answers.append(fact)
            known.missed = ""
            state.model_answers.append((event.at, fact))
            state.unheard = 0
        case e.ToolAnswered():
            known = _known(state, event, fact.step)
            if fact.call not in {str(item.get("id")) for item in known.unanswered()}:
                raise impossible(event, "no call of this id waits for a result")
            known.results.append(fact)
        case e.ModelMissed():
            known = _known(state, event, fact.step)
            if known.opened.about not in {VERDICT, DRAFT}:
                raise impossible(event, f"nothing waits for a model's {known.opened.about}")
            known.missed, known.lost_ms = fact.message, known.lost_ms + fact.took
            state.model_misses.append((event.at, fact.took))
        case e.FellBack():
            known = _known(state, event, fact.step)
            state.unheard += fact.reason_code == UNAVAILABLE
            _counselled(state, known)
            del state.consultations[fact.step]
        case e.Advised():
            _advise(state, event, fact)
        case e.HandedOff():
            _hand_off(state, event, fact)


def end_consultation(state: RunState, step: str, about: str) -> None:
    """What was asked for is there, from whomever."""
    known = state.consultations.get(step)
    if known is not None and known.opened.about == about:
        del state.consultations[step]


def is_counsel(state: RunState, fact: e.Fact) -> bool:
    """Whether a fact is an agent's advice to a run that rests: it changes nothing of where the run stands."""
    match fact:
        case e.Consulted() | e.Advised():
            return fact.about == ADVICE
        case e.ModelAnswered() | e.ToolAnswered() | e.FellBack() | e.HandedOff():
            known = state.consultations.get(fact.step)
            return known is not None and known.opened.about == ADVICE
    return False


def _open(state: RunState, event: e.Event, fact: e.Consulted) -> None:
    known = state.consultations.get(fact.step)
    # Where a run got into trouble in the middle of a conversation, what the trouble is comes first.
    if known is not None and (fact.about != ADVICE or known.opened.about == ADVICE):
        raise impossible(event, "an agent is asked there already")
    if fact.about not in ABOUT:
        raise impossible(event, f"nobody is asked for {fact.about!r}")
    state.consultations[fact.step] = Consultation(fact, event.at)


def _known(state: RunState, event: e.Event, step: str) -> Consultation:
    known = state.consultations.get(step)
    if known is None:
        raise impossible(event, "nobody was asked")
    return known


def _counselled(state: RunState, known: Consultation) -> None:
    if known.opened.about in {ADVICE, WATCH}:
        # How users are is another question than what the trouble is: who was asked one may be asked the other.
        who = WATCH if known.opened.about == WATCH else known.opened.agent
        state.counselled.add((known.opened.step, who))


def _advise(state: RunState, event: e.Event, fact: e.Advised) -> None:
    known = _known(state, event, fact.step)
    if (known.opened.agent, known.opened.about) != (fact.agent, fact.about):
        raise impossible(event, f"{fact.agent} was not asked for it")
    if fact.severity not in SEVERITIES or fact.kind not in KINDS:
        raise impossible(event, "there is no such kind of trouble, or no such severity")
    _exist(state, event, fact.cites)
    _counselled(state, known)
    state.advice[fact.step] = fact
    del state.consultations[fact.step]


def _hand_off(state: RunState, event: e.Event, fact: e.HandedOff) -> None:
    known = _known(state, event, fact.step)
    if known.opened.agent != fact.giver or fact.giver == fact.receiver:
        raise impossible(event, f"{fact.giver} was not asked, so hands nothing over")
    _exist(state, event, fact.refs)
    state.handoffs.append(fact)


def _exist(state: RunState, event: e.Event, cites: tuple[str, ...]) -> None:
    for cited in cites:
        if cited not in state.evidence_by_id:
            raise impossible(event, f"evidence {cited} does not exist")
