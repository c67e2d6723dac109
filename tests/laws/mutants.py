"""The laws, the test of each, and one mutant of the code a law that makes this law's test fail.

A mutant is a text that stands exactly once in a file, and what takes its place. ``make mutants`` puts each in a copy of
the tree and demands that the law's test notices; a text that is not there, or there twice, makes the table stale.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Law:
    """A law that the code of today can break.

    Args:
        sentence: what holds.
        test: ``file::test``, the file relative to tests/laws.
        file: that the mutant changes, relative to the root.
        old, new: the text that stands there once, and the mutant's.
        flaw: what the mutant does, in a few words.
    """

    sentence: str
    test: str
    file: str
    old: str
    new: str
    flaw: str


@dataclass(frozen=True, slots=True)
class Later:
    """A law about what is not built yet, and why it has no test here."""

    sentence: str
    reason: str


_GUARD, _ENGINE, _TOOLS = "src/pilothouse/guard/", "src/pilothouse/engine/", "tools/pilothouse_tools/"
_EFFECTS, _APPROVALS = "test_effects.py::", "test_approvals.py::"
_RELEASES, _CRASHES, _PEOPLE = "test_releases.py::", "test_crashes.py::", "test_people.py::"
_AGENTS = "test_agents.py::"

LAWS: dict[str, Law] = {
    "I1": Law(
        "The world is touched through registered tools with declared, validated arguments; anything else is refused before any I/O.",
        _EFFECTS + "test_i01_only_a_declared_effect_with_declared_arguments_gets_through_the_door",
        _TOOLS + "door.py",
        "    if unknown := sorted(set(given) - set(spec.arguments)):",
        "    given = {name: value for name, value in given.items() if name in spec.arguments}\n    if unknown := []:",
        "an argument that is not declared is dropped and not refused",
    ),
    "I2": Law(
        "No word of a model changes which effects happen or their arguments; a hold only cuts them short.",
        _EFFECTS + "test_i02_no_word_of_a_model_changes_what_is_done_but_by_stopping_it",
        _GUARD + "decide.py",
        'sha256_hex(f"{state.run}:{state.started_at}:{plan_digest}:{step}".encode())[:20]',
        'sha256_hex(f"{state.run}:{state.started_at}:{[v.reasons for v in state.verdicts.values()]}:{step}".encode())[:20]',
        "an act's key takes in what a model wrote",
    ),
    "I3": Law(
        "Every effect is in the approved plan, in the order of its line, each at most once.",
        _EFFECTS + "test_i03_acts_come_in_the_order_of_the_plan_and_each_at_most_once",
        _GUARD + "fold_acts.py",
        "    if (first := _left_out(state, planned)) is not None:",
        "    if (first := _left_out(state, planned)) is not None and not state.acts:",
        "once an act was done, the order of the others is not looked at",
    ),
    "I4": Law(
        "No effect on staging or production without its gates' pass on whole and fresh evidence; what is missing fails.",
        _EFFECTS + "test_i04_no_act_without_its_gates_on_fresh_and_whole_evidence",
        _GUARD + "gates.py",
        '    if facts.get("healthy") is True:',
        '    if facts.get("healthy"):',
        "whatever looks true counts as healthy",
    ),
    "I5": Law(
        "Success is what is read after the write; an exit code or an answer never suffices.",
        _EFFECTS + "test_i05_only_what_was_read_back_is_done",
        _ENGINE + "perform.py",
        "        return attempt, tools.verify(act.tool, arguments, permit.key)",
        "        return attempt, tools.verify(act.tool, arguments, permit.key) if attempt else Probe(Presence.APPLIED)",
        "an attempt that did not complain counts as done",
    ),
    "I6": Law(
        "A child is an argument array and an absolute program, without a shell, bounded in time and output.",
        _EFFECTS + "test_i06_a_child_gets_its_arguments_unread_from_an_absolute_program_within_its_time",
        _TOOLS + "child.py",
        'env.get("PATH", "").split(":") if folder.startswith("/")]',
        'env.get("PATH", "").split(":") if folder]',
        "a relative folder on PATH lets the working directory choose the program",
    ),
    "I7": Law(
        "A child's environment is an allow-list, and a variable reaches only the act that names it.",
        _EFFECTS + "test_i07_a_child_sees_what_is_listed_and_the_variables_of_its_act",
        _TOOLS + "context.py",
        "for name in (*_PASSED_ON, *names) if name in self.environ}",
        'for name in self.environ if name in (*_PASSED_ON, *names) or not name.endswith("TOKEN")}',
        "all but tokens is passed on",
    ),
    "I8": Law(
        "No held secret, raw or in the encodings in which secrets leak, gets through to a log, ledger or screen.",
        _EFFECTS + "test_i08_no_form_of_a_held_secret_gets_through",
        "src/pilothouse/redaction.py",
        "        value, value[::-1],\n",
        "        value,\n",
        "a secret written backwards is not known",
    ),
    "I9": Law(
        "Files are read within the repository: no link, no `..`, no `.git`.",
        _EFFECTS + "test_i09_no_path_and_no_link_leads_out_of_the_repository",
        _TOOLS + "repository.py",
        '            if kind == "blob" and mode != "120000":',
        '            if kind == "blob":',
        "a symbolic link counts as a file",
    ),
    "I10": Law(
        "Just before a covered effect what the approval rests on is read again; any difference voids it and nothing happens.",
        _EFFECTS + "test_i10_what_changed_since_the_approval_voids_it_and_nothing_happens",
        _ENGINE + "perform.py",
        "    if changed:\n        message",
        "    if changed and act.effect is EffectClass.HUMAN:\n        message",
        "a difference stops only what a person would be asked about anyway",
    ),
    "I11": Law(
        "A range that touches CI, policy, prompts or lock files, or that nobody looked at, needs one more named approval.",
        _EFFECTS + "test_i11_a_range_that_touches_the_rules_asks_for_one_more_approval",
        "src/pilothouse/clearances.py",
        "        if needed is None or found == []:",
        "        if needed is None or not found:",
        "a range that nobody looked at asks for nothing",
    ),
    "I12": Law(
        "The target's identity is the approved one, on the way back too.",
        _EFFECTS + "test_i12_the_way_back_touches_only_the_target_that_was_approved",
        _ENGINE + "pins.py",
        "            if pin.startswith(IDENTITY) and pin in approved and approved[pin] != value",
        "            if pin.startswith(IDENTITY) and pin in approved and not value",
        "on the way back another database will do",
    ),
    "I13": Law(
        "The card is code's own text; what strangers wrote is spelt out, bounded, and what is left out is counted.",
        _APPROVALS + "test_i13_the_card_is_codes_own_text_and_strangers_words_are_spelt_out_and_bounded",
        "src/pilothouse/render/card.py",
        "    if len(entries) > BREAKING:",
        "    if len(entries) > 10 * BREAKING:",
        "what is left out is not counted",
    ),
    "I14": Law(
        "Only an approver whom the base branch names, known in a way that policy takes, opens anything; four eyes where configured.",
        _APPROVALS + "test_i14_only_a_known_approver_of_an_asked_group_opens_anything",
        _GUARD + "clearance.py",
        "    if authentication not in clearance.authentications:",
        "    if not authentication:",
        "however somebody says they are known, they are believed",
    ),
    "I15": Law(
        "The word is exact, used once, lives fifteen minutes, is never the last one, and a wrong entry spends it.",
        _APPROVALS + "test_i15_a_word_is_exact_single_used_short_lived_and_never_the_last_one",
        _GUARD + "fold_checkpoints.py",
        "    known.word_matched = False\n    return clearance",
        "    return clearance",
        "one word opens for two people",
    ),
    "I16": Law(
        "A rejection, an abort and an expiry are durable: nothing goes on after them.",
        _APPROVALS + "test_i16_what_was_rejected_aborted_or_expired_never_goes_on",
        _GUARD + "state.py",
        "        return bool(self.ended or self.superseded_by or (self.aborted and not self.closing))",
        "        return bool(self.ended or self.superseded_by or (self.aborted and not self.void_seq and not self.last_word and self.plan is None))",
        "a run that has a plan goes on after it was ended",
    ),
    "I17": Law(
        "What is released descends from what is released now; in an audited promotion each commit was approved as merged.",
        _RELEASES + "test_i17_what_does_not_descend_or_nobody_vouched_for_is_not_released",
        _GUARD + "promotion.py",
        '    unlinked, unreviewed = items(facts, "unlinked"), _numbers(facts, "unreviewed")',
        '    unlinked, unreviewed = items(facts, "unlinked"), list[int]()',
        "a pull request that nobody approved as it was merged will do",
    ),
    "I18": Law(
        "No ref moves but forward and by compare-and-swap, no tag moves, and only the run's own merged branch is deleted.",
        _RELEASES + "test_i18_no_ref_moves_but_forward_and_no_tag_moves_at_all",
        _TOOLS + "repository.py",
        "            if not self.is_ancestor(expected, new):",
        "            if not self.is_ancestor(expected, new) and not self.is_ancestor(new, expected):",
        "a branch may be set back",
    ),
    "I19": Law(
        "What answers another version or commit is not what was released (digests of artefacts: with artefacts).",
        _RELEASES + "test_i19_what_answers_another_version_or_commit_is_not_what_was_released",
        _TOOLS + "health.py",
        "    if not problem and sha and said.sha and said.sha != sha:",
        "    if not problem and sha and said.sha and said.version != version:",
        "another commit of the same version will do",
    ),
    "I20": Law(
        "The migrations are exactly the expected ones, and run only after a backup that is fresh.",
        _RELEASES + "test_i20_only_the_expected_migrations_and_only_after_a_fresh_backup",
        _GUARD + "gates.py",
        '        if not state.production_attempted():\n            return Finding(\n                gate.id, passed=False, reason_code="backup-too-old"',
        '        if state.production_attempted():\n            return Finding(\n                gate.id, passed=False, reason_code="backup-too-old"',
        "a backup is too old only once it is too late",
    ),
    "I21": Law(
        "A statement that destroys data is seen however it is written, and needs an approval that lists it.",
        _RELEASES + "test_i21_a_statement_that_destroys_data_is_seen_however_it_is_written",
        _TOOLS + "observe/touched.py",
        '        if found["destroys"]\n',
        '        if found["destroys"] and not found["destroys"].islower()\n',
        "a statement in small letters is not seen",
    ),
    "I22": Law(
        "Nothing sets out for staging or production while it is frozen or locked; the way back is exempt.",
        _RELEASES + "test_i22_nothing_sets_out_for_staging_or_production_while_it_is_frozen_or_locked",
        _GUARD + "decide.py",
        "        if frozen is not None:",
        "        if frozen is not None and planned.checkpoint is None:",
        "an approval opens a freeze",
    ),
    "I24": Law(
        "Healthy is so many good answers in a row, each with good health by its own words; 200 alone is none.",
        _RELEASES + "test_i24_healthy_is_so_many_good_answers_in_a_row_of_a_server_that_says_so",
        _TOOLS + "observe/health.py",
        "        in_a_row = 0 if seen.problem else in_a_row + 1",
        "        in_a_row = in_a_row if seen.problem else in_a_row + 1",
        "a bad answer between good ones is forgotten",
    ),
    "I25": Law(
        "The watch is the planned one and is never shorter.",
        _RELEASES + "test_i25_no_watch_is_shorter_than_the_planned_one",
        _GUARD + "fold.py",
        "timedelta(milliseconds=window):",
        "timedelta(microseconds=window):",
        "a thousandth of the window is enough",
    ),
    "I26": Law(
        "There is a known good version to go back to, and it is still the one that runs.",
        _RELEASES + "test_i26_there_is_a_known_version_to_go_back_to_and_it_is_still_the_one",
        _GUARD + "gates.py",
        "    if now != before and now not in bound.own_shas:",
        "    if now != before and not bound.own_shas:",
        "once the run has made a commit, any version may be live",
    ),
    "I27": Law(
        "An intent is durable before its effect, an outcome before the next one.",
        _CRASHES + "test_i27_an_intent_lasts_before_its_effect_and_an_outcome_before_the_next",
        _ENGINE + "perform.py",
        '        world.journal.sync()\n        world.boundary("after-intent", act.step)',
        '        world.boundary("after-intent", act.step)',
        "an intent is written and not made to last",
    ),
    "I28": Law(
        "After any kills the effects are those of a run that was not killed, or the run rests in a named halt.",
        _CRASHES + "test_i28_whatever_is_killed_the_effects_are_those_of_a_run_that_was_not",
        _ENGINE + "perform.py",
        "    if not twice:\n        return seen",
        "    if not twice:\n        return Probe(Presence.ABSENT) if seen.presence is Presence.APPLIED else seen",
        "what an earlier life did is not seen",
    ),
    "I29": Law(
        "What is uncertain is looked at by its class: keyed, two equal looks, or a person; never tried blindly.",
        _CRASHES + "test_i29_what_is_uncertain_is_looked_at_by_its_class_and_never_tried_blindly",
        _ENGINE + "perform.py",
        "        if again == seen:",
        "        if again.presence is seen.presence:",
        "two looks that agree on absence count as rest though something moves",
    ),
    "I30": Law(
        "One conductor a product: whoever was taken over performs nothing more.",
        _CRASHES + "test_i30_a_conductor_that_was_taken_over_does_nothing_more",
        _ENGINE + "perform.py",
        "    log.confirm()\n    if log.state.over or",
        "    if log.state.over or",
        "between intent and effect nobody asks who holds the lease",
    ),
    "I31": Law(
        "What an agent said is journalled whole before it is used, and never asked again.",
        _CRASHES + "test_i31_what_an_agent_said_is_written_down_whole_and_never_asked_again",
        _ENGINE + "steps.py",
        "    return VerdictGiven(step.id, step.agent, given.answer, given.reasons, given.cites, given.by)",
        "    return VerdictGiven(step.id, step.agent, given.answer, (), given.cites, given.by)",
        "why an agent said so is lost",
    ),
    "I32": Law(
        "A ledger's entry is understood whole or not at all; duplicate, unknown and odd halt.",
        _CRASHES + "test_i32_an_entry_is_understood_whole_or_not_at_all",
        "src/pilothouse/ledger/chain.py",
        "    if not _is_canonical(text, entry):",
        '    if not _is_canonical(text, entry) and text.count("{") < 2:',
        "of two values under one key the last one counts",
    ),
    "I33": Law(
        "Every effect and refusal has a record; an outcome follows each intent, also after an abort, also on the remote.",
        _CRASHES + "test_i33_every_effect_and_every_refusal_is_on_the_record",
        _ENGINE + "world.py",
        "kept = [fact for fact in facts if isinstance(fact, Done | Failed)] if self.state.over else facts",
        "kept = [] if self.state.over else facts",
        "an act's outcome is lost where the run was aborted meanwhile",
    ),
    "I34": Law(
        "The chain shows every edit, gap, swap, fork and cut against a known head.",
        _CRASHES + "test_i34_an_edit_a_gap_a_swap_a_fork_and_a_cut_are_all_found",
        "src/pilothouse/ledger/chain.py",
        "            if entry.prev not in (prev, stored_prev) and seq == last_seq + 1:",
        "            if entry.prev not in (prev, stored_prev) and seq != last_seq + 1:",
        "an entry that was written anew with its hash is not found",
    ),
    "I35": Law(
        "Each commit of main and each deployment has exactly one record, or is a listed exception.",
        _RELEASES + "test_i35_each_commit_and_each_deployment_has_one_record_or_is_listed",
        "src/pilothouse/covering.py",
        '        elif len(holders) > 1:\n            yield Gap(product, "commit-in-several-records"',
        '        elif len(holders) > 2:\n            yield Gap(product, "commit-in-several-records"',
        "a commit that two records claim is nobody's business",
    ),
    "I36": Law(
        "Handoffs are typed, along allowed edges only, on evidence that exists, three in a row at most.",
        _AGENTS + "test_i36_a_question_is_handed_over_along_allowed_edges_with_a_known_reason_and_evidence",
        _GUARD + "handoff.py",
        "    if receiver == giver or receiver not in edges:",
        "    if receiver == giver:",
        "an agent hands over to whom it likes",
    ),
    "I37": Law(
        "A persona reads and drafts, never acts, and has at most one of untrusted input, secrets and state change.",
        _PEOPLE + "test_i37_a_role_reads_and_drafts_and_has_at_most_one_power",
        "src/pilothouse/playbook/persona.py",
        "    if len(declared) > 1:",
        "    if len(declared) > 2:",
        "two powers are allowed",
    ),
    "I38": Law(
        "Tokens, money, turns and time of models are bounded by code; then the scripted agents go on.",
        _AGENTS + "test_i38_what_models_use_up_is_bounded_and_then_the_scripted_agents_go_on",
        _GUARD + "budget.py",
        "            if limit is not None and getattr(known, name) >= limit:",
        "            if limit is not None and getattr(known, name) > limit:",
        "one more turn is asked for when a budget is spent",
    ),
    "I39": Law(
        "Health is asked for only at addresses that the configuration may mean (Host, session and CSRF: with the dashboard).",
        _PEOPLE + "test_i39_health_is_asked_for_at_no_address_that_a_stranger_could_mean",
        _TOOLS + "web.py",
        "    if address.is_link_local:",
        "    if address.is_link_local and not allow_private:",
        "link-local addresses count as private ones",
    ),
    "I40": Law(
        "A dry run has no effect at all and the plan digest of the real run.",
        _PEOPLE + "test_i40_a_rehearsal_does_nothing_and_has_the_plan_of_the_real_run",
        _ENGINE + "plan.py",
        '{key: value for key, value in started.inputs.items() if key != "dry_run"}',
        "dict(started.inputs)",
        "that it is a dry run is part of the plan",
    ),
}

LATER: dict[str, Later] = {
    "I23": Later(
        "Waves: canary, soak, health, next.", "there is one deployment a release; waves come with their own issue"
    ),
}
