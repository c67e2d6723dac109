"""What Pilothouse must do, each requirement with the tests that prove it (checked both ways by test_requirements.py).

An id that is not here is not built, or no test proves it yet. ``part`` says what is missing. A test module or test
claims ids in its docstring, for example ``(REL-5, I18)`` or ``(I27 to I29)``; it may claim only ids of this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement in our own words.

    Args:
        sentence: what holds.
        tests: ``file::test``, the file relative to tests/; every parameter of a parametrised test counts.
        state: ``built``, or ``part`` where something of it is missing.
        missing: what is missing, of a part.
    """

    sentence: str
    tests: tuple[str, ...]
    state: Literal["built", "part"] = "built"
    missing: str = ""


_RELEASE = "release/test_release.py::"
_SHIPS = _RELEASE + "test_a_release_ships_to_production_and_its_ledger_verifies"
_MODELS = "release/test_models.py::"
_FAULTS = _RELEASE + "test_a_fault_ends_where_it_should_and_the_world_agrees"
_EXAMPLE = "test_state_example.py::test_the_example_is_what_a_release_renders"
_GATES = "guard/test_gates.py::test_a_gate_passes_on_what_it_should_and_on_nothing_else"
_IMPOSSIBLE = "guard/test_fold.py::test_an_impossible_history_is_refused"
_ENGINE = "engine/test_engine.py::"
_ACTS = "tools/test_git_acts.py::"
_HARBOUR = "tools/test_harbour_tools.py::"
_DEPLOY = "tools/test_deploy.py::"
_APPROVALS = "release/test_approvals.py::"
_WORDS = "guard/test_approval.py::"
_TERMINAL = "cli/test_approving.py::"
_KILL = "crash/test_kill.py::"
_VERIFY = "ledger/test_verify.py::"
_CONSULT, _EFFECTS = "agents/test_consult.py::", "agents/test_same_effects.py::"
_HOSTILE, _WIRE, _AGENTKILL = "agents/test_hostile_agents.py::", "agents/test_wire.py::", "agents/test_kill.py::"
_SAME = _EFFECTS + "test_a_release_with_a_model_has_the_effects_and_the_shas_of_one_without"
_CHAT, _MCP, _COMPOSED = "chat/test_session.py::", "mcp/test_shipping.py::", "tools/test_composed.py::"
_ATTACK = "attacks/test_attacker.py::test_a_random_attacker_gets_nothing_past_the_guard"

_PROMOTED, _MOVES = "release/test_promotion.py::", "tools/test_promotion.py::"
_CONTENTS, _BATCHES = "tools/test_contents_of_a_promotion.py::", "tools/test_batches.py::"
_DEPLOYED, _TICKETS = "tools/test_deployments.py::", "tools/test_tickets.py::"
_RECORDS, _EXPORT = "tools/test_records.py::", "tools/test_export.py::"
_RECORDING, _CLOSING = "engine/test_recording.py::", "engine/test_closing.py::"
_TAMPER, _CRASH = "ledger/test_mutations.py::", "crash/test_crash.py::"

REQUIREMENTS: dict[str, Requirement] = {
    # --- starting a release -----------------------------------------------------------------------------------------
    "INT-1": Requirement(
        "Plain words start a release where every word of them is understood; anything else starts nothing and says what there is.",
        (
            "test_intent.py::test_plain_words_start_what_they_say", "test_intent.py::test_nothing_starts_from_other_words",
            "test_intent.py::test_several_products_are_asked_for_by_name",
            "test_intent.py::test_one_word_of_doubt_anywhere_stops_every_request",
            "cli/test_arguments.py::test_plain_words_are_heard_and_reach_the_start",
            "chat/test_words.py::test_a_question_is_told_by_its_words",
            _CHAT + "test_a_release_and_its_way_back_from_the_first_question_to_the_last",
            "chat/test_terminal.py::test_an_order_of_a_model_waits_for_a_yes_that_is_typed_after_it_was_shown",
            _MCP + "test_a_chat_ships_through_an_approval_that_is_typed_elsewhere",
        ),
        "part", "of the workflows that words may name, only release and rollback are there",
    ),
    "INT-2": Requirement(
        "A schedule or an event starts a run, once a slot however many workers look; it stops at its checkpoint.",
        (
            "test_scheduling.py::test_many_workers_at_once_start_a_slot_once",
            "test_scheduling.py::test_of_several_missed_slots_only_the_latest_is_made_up_for",
            "release/test_worker.py::test_a_schedule_starts_one_run_that_waits_for_its_person_and_is_brought_to_its_end",
            "release/test_worker.py::test_a_closed_milestone_starts_a_run_once",
        ),
    ),
    "INT-3": Requirement(
        "A dry run makes every check and the whole plan, has no effect, and prints the plan digest of the real run.",
        (_RELEASE + "test_a_dry_run_changes_nothing_and_has_the_digest_of_the_real_run",),
    ),
    "INT-4": Requirement(
        "A product has one run at a time; a second is refused with who, when and which run holds it.",
        (_RELEASE + "test_a_second_release_of_a_busy_product_is_refused_with_who_holds_it",),
    ),
    "INT-5": Requirement(
        "What a release needs is asked before it starts: credentials, a remote, a live production, tools at known versions.",
        (
            _GATES, "tools/test_repository.py::test_a_remote_that_is_not_configured_is_named",
            _HARBOUR + "test_credentials_that_are_not_set_are_named_never_shown",
            "cli/test_doctor.py::test_a_tool_that_is_too_old_is_named_with_the_version_that_is_needed",
            "cli/test_doctor.py::test_a_missing_tool_is_bad_and_says_what_to_install",
            "cli/test_doctor.py::test_credentials_are_named_and_never_shown",
            "release/test_worker.py::test_a_missing_program_and_a_paused_product_are_refused_at_readiness",
            "tools/test_present.py::test_a_program_is_known_by_a_version_that_works",
            "tools/test_present.py::test_only_an_active_product_with_its_branch_and_both_environments_ships",
            "cli/test_doctor_models.py::test_the_key_goes_where_the_base_branch_says_whatever_the_working_tree_does",
        ),
    ),
    # --- the workflow release ---------------------------------------------------------------------------------------
    "REL-1": Requirement(
        "Nothing is released before its pull requests are merged, CI is green for the exact commit, no blocker is open and the "
        "changelog has entries; all that stands against it is told at once.",
        (
            _GATES, _FAULTS, _HARBOUR + "test_ci_judges_statuses_and_check_runs_of_exactly_one_commit",
            _HARBOUR + "test_open_issues_and_pull_requests_are_found_by_any_label",
            "tools/test_contents.py::test_the_changelog_is_read_at_the_commit_not_from_the_working_tree",
            "render/test_timeline.py::test_a_refusal_lists_every_blocker_with_its_evidence_and_what_to_do",
            "release/test_release.py::test_one_look_that_fails_hides_no_other_blocker",
        ),
    ),
    "REL-2": Requirement(
        "The end-to-end and smoke suites run in a checkout of the pinned commit and must pass by exit code and own count together.",
        (
            _FAULTS, _HARBOUR + "test_suites_run_in_a_checkout_of_the_commit_and_leave_the_clone_alone",
            _HARBOUR + "test_a_suite_passes_by_its_exit_and_its_own_summary_together",
            "render/test_timeline.py::test_the_end_of_a_failed_suites_log_stands_under_the_refusal_bounded_and_escaped",
            "render/test_timeline.py::test_what_a_failed_command_wrote_stands_under_the_refusal",
            "release/test_performance.py::test_a_performance_suite_that_fails_refuses_before_anything_is_made",
            "release/test_performance.py::test_a_performance_suite_that_passes_lets_the_release_through",
            _CONSULT + "test_a_refused_run_is_explained_once_and_only_with_remedies_that_there_are",
        ),
    ),
    "REL-3": Requirement(
        "The version follows semantically from commits and changelog; a requested one that contradicts the changes is refused.",
        (
            "tools/test_versions.py::test_the_next_version_follows_from_the_changes",
            "tools/test_versions.py::test_a_version_that_contradicts_the_changes_is_refused_with_the_reason",
            "tools/test_contents.py::test_the_version_follows_from_contents_and_changelog_at_the_commit",
            "tools/test_contents.py::test_calver_is_not_supported_yet",
        ),
        "part", "CalVer",
    ),
    "REL-4": Requirement(
        "The changelog is finalised, every configured version file is bumped, and release notes name each entry with its number.",
        (
            "tools/test_versions.py::test_finalising_dates_the_section_keeps_the_rest_and_moves_the_links",
            "tools/test_versions.py::test_package_json_changes_in_the_versions_own_characters_only",
            "tools/test_versions.py::test_pyproject_keeps_quotes_comments_and_every_other_version",
            "tools/test_versions.py::test_a_pattern_replaces_its_one_group",
            "tools/test_drafts.py::test_notes_hold_every_part_with_references_and_escape_foreign_text",
            _HARBOUR + "test_a_whole_release_is_prepared_with_notes_that_name_every_pull_request", _SHIPS,
            "tools/test_edited_notes.py::test_a_persons_notes_are_taken_instead_of_the_drafted_and_the_evidence_says_whose_they_are",
            "tools/test_edited_notes.py::test_notes_that_cannot_be_taken_are_refused_with_file_and_line",
            "release/test_own_notes.py::test_edited_notes_survive_a_rerun_and_what_was_shown_is_what_is_published",
            _COMPOSED + "test_an_agents_words_stand_beside_what_code_lists",
            _COMPOSED + "test_what_an_agent_leaves_out_stays_where_it_was",
            _COMPOSED + "test_an_entry_has_a_reference_that_the_template_would_show",
        ),
    ),
    "REL-5": Requirement(
        "The release branch release/<product>/v<version> is made from the pinned commit, committed and pushed.",
        (
            _ACTS + "test_a_release_branch_carries_changelog_and_version_files_and_nothing_else",
            _ACTS + "test_the_same_arguments_make_the_same_sha_on_another_machine", _SHIPS,
        ),
    ),
    "REL-6": Requirement(
        "Staging is migrated and deployed in the order that the migrations allow, and answers the expected version.",
        (
            _SHIPS, _HARBOUR + "test_pending_migrations_are_exactly_those_that_the_range_adds", _FAULTS,
            _MODELS + "test_a_migration_that_contracts_runs_after_the_code_and_is_taken_back_with_its_data",
            _MODELS + "test_a_release_and_its_rollback_go_by_the_projects_own_deploy_command",
        ),
    ),
    "REL-7": Requirement(
        "Staging is signed off on smoke, health, logs and drift; a suite that is not configured refuses unless policy allows it.",
        (
            _GATES, "guard/test_gates.py::test_policy_may_allow_a_suite_that_is_not_configured",
            _HARBOUR + "test_logs_are_scanned_for_rejected_texts",
            _HARBOUR + "test_drift_names_the_settings_that_differ_and_only_those", _SHIPS,
            _CONSULT + "test_a_verdict_that_is_none_falls_back_to_the_scripted_one",
        ),
    ),
    "REL-8": Requirement(
        "The checkpoint asks whether to go to production, with what is included, the staging address, risks, what is not verified "
        "and how it is undone in how many minutes.",
        (
            _EXAMPLE, "render/test_report.py::test_a_waiting_run_shows_its_card_and_both_answers",
            "render/test_card.py::test_the_first_lines_of_the_notes_stand_on_the_card_and_the_rest_is_counted",
            "render/test_card.py::test_a_breaking_change_names_its_migration_path_or_that_there_is_none",
            "render/test_card.py::test_a_finding_says_which_environment_it_speaks_of",
        ),
    ),
    "REL-9": Requirement(
        "Production is backed up, migrated and deployed, read back, and judged healthy.",
        (
            _SHIPS, _HARBOUR + "test_a_backup_is_made_migrations_applied_and_all_taken_back",
            _HARBOUR + "test_a_backup_that_fails_is_no_backup", _FAULTS,
            _MODELS + "test_a_migration_that_contracts_runs_after_the_code_and_is_taken_back_with_its_data",
            _MODELS + "test_a_release_and_its_rollback_go_by_the_projects_own_deploy_command",
        ),
    ),
    "REL-10": Requirement(
        "Production is watched for the configured window, which is part of the plan's digest, short only by policy, and never cut.",
        (
            _FAULTS, "guard/test_watch.py::test_the_error_rate_may_rise_by_its_points_and_no_further",
            "guard/test_watch.py::test_slower_answers_are_worse", _IMPOSSIBLE,
            "playbook/test_bad_input.py::test_a_spoilt_configuration_is_refused_at_its_line",
            _CONSULT + "test_a_grave_severity_in_a_watch_asks_a_person_and_rolls_nothing_back",
            _CONSULT + "test_users_are_asked_about_once_and_never_for_longer_than_until_the_next_look",
        ),
        "part", "user reports; the window has no default, it must be configured",
    ),
    "REL-11": Requirement(
        "The release is merged, tagged with an annotated tag on the deployed commit, published, and its branch deleted where "
        "configured; a main that moved on is merged, a conflict becomes a pull request and a halt.",
        (
            _SHIPS, _FAULTS, _RELEASE + "test_a_main_that_conflicts_is_merged_by_hand_and_the_run_goes_on",
            _ACTS + "test_a_main_that_has_moved_on_is_merged_not_refused",
            _ACTS + "test_a_tag_is_annotated_and_carries_the_whole_message",
            _ACTS + "test_a_release_branch_is_deleted_once_main_contains_it",
            _HARBOUR + "test_a_release_of_the_forge_is_made_once_for_a_tag_that_exists",
        ),
    ),
    "REL-12": Requirement(
        "state.yml shows each product's phase, version, last release, last activity and open tasks; a person's own text survives.",
        (
            _EXAMPLE, "test_statefile.py::test_comments_and_foreign_keys_survive_byte_for_byte",
            "test_statefile.py::test_whatever_people_write_survives_whatever_is_rendered",
            "test_statefile.py::test_products_do_not_disturb_each_other",
            "cli/test_stateview.py::test_the_view_says_phase_version_and_open_tasks",
            "cli/test_bad_store.py::test_a_spoilt_state_file_is_refused_at_its_line_before_a_run_moves",
        ),
    ),
    "REL-13": Requirement(
        "The final report names version, address, notes, watch, and three checklists with the evidence of each tick.",
        (
            "render/test_report.py::test_the_ship_report_names_what_is_live_where_and_how_to_undo_it",
            "render/test_report.py::test_every_tick_rests_on_evidence_that_the_ledger_holds",
            "render/test_report.py::test_what_did_not_happen_has_no_tick",
            "cli/test_demo.py::test_the_demo_ships_and_says_what_happened",
        ),
    ),
    "REL-14": Requirement(
        "What fails before production stops the release and can be gone on with or superseded; what fails in production is undone.",
        (
            _FAULTS, _RELEASE + "test_a_mended_environment_is_gone_on_with",
            _RELEASE + "test_a_mended_commit_starts_a_run_that_supersedes_the_resting_one",
            _RELEASE + "test_a_rollback_that_fails_halts_and_escalates",
            _CONSULT + "test_a_recommended_remedy_is_one_of_those_that_were_shown",
            _CONSULT + "test_what_went_wrong_is_explained_on_the_way_back_when_production_is_good_again",
            "guard/test_remedies.py::test_a_suite_that_failed_may_be_run_again_and_a_resume_runs_that_one_alone",
        ),
    ),
    # --- approvals --------------------------------------------------------------------------------------------------
    "APR-1": Requirement(
        "A word is drawn, never the last one again, shown on the terminal alone, compared exactly, good once and for 15 minutes.",
        (
            _WORDS + "test_the_last_word_is_never_drawn_again", _WORDS + "test_only_the_exact_word_matches",
            _WORDS + "test_the_exact_word_matches_until_it_expires", _TERMINAL + "test_the_right_word_typed_exactly_approves",
            _APPROVALS + "test_the_right_word_approves_exactly_this_card_and_is_written_down_only_when_spent",
            "cli/test_status.py::test_the_word_is_nowhere_in_what_status_prints",
            "approvals/test_entries.py::test_no_spelling_of_a_word_is_the_word",
            "approvals/test_entries.py::test_words_of_before_are_spent",
            "approvals/test_entries.py::test_the_word_is_in_no_record_while_it_lives",
        ),
    ),
    "APR-2": Requirement(
        "A wrong entry spends the word, three reject, ABORT ends the run; rejection, abort and expiry are durable.",
        (
            _TERMINAL + "test_anything_but_the_word_is_spent_and_approves_nothing",
            _APPROVALS + "test_words_are_exact_single_use_and_three_wrong_ones_end_the_run",
            _APPROVALS + "test_abort_as_the_word_and_a_rejection_are_durable",
            _TERMINAL + "test_abort_at_the_prompt_ends_the_run",
            _TERMINAL + "test_leaving_the_prompt_approves_nothing",
            "guard/test_fold.py::test_three_wrong_words_are_counted_and_a_late_right_one_is_not",
            _WORDS + "test_a_word_is_drawn_only_while_the_checkpoint_waits",
            _ENGINE + "test_a_checkpoint_that_expires_ends_the_run", "cli/test_status.py::test_reject_and_abort_end_a_run_for_good",
            "approvals/test_entries.py::test_what_is_not_the_word_approves_nothing_and_spends_it",
            "approvals/test_moments.py::test_a_no_is_durable",
            "approvals/test_moments.py::test_an_expired_checkpoint_is_closed_for_good",
        ),
    ),
    "APR-3": Requirement(
        "An approval is bound to the digest of what was shown; what changes voids it, and the checkpoint opens with the difference.",
        (
            _WORDS + "test_an_approval_of_other_contents_has_another_digest",
            _ENGINE + "test_a_pin_that_changed_voids_the_approval_and_the_card_shows_the_difference",
            _ENGINE + "test_what_the_run_moved_itself_voids_nothing",
            _APPROVALS + "test_the_right_word_approves_exactly_this_card_and_is_written_down_only_when_spent",
            "guard/test_fold.py::test_a_changed_plan_voids_the_approval_and_the_checkpoint_opens_again", _FAULTS,
            "approvals/test_moments.py::test_a_card_whose_basis_differs_in_anything_is_another_card",
            "approvals/test_moments.py::test_a_card_that_was_opened_again_after_a_change_starts_from_nobody",
            "approvals/test_sandbox.py::test_what_moves_after_the_approval_voids_it_and_the_next_card_says_what",
        ),
    ),
    "APR-4": Requirement(
        "Who may approve stands on the remote's base branch: groups, N of M people, four eyes, accounts and SSH signatures.",
        (
            "guard/test_clearance.py::test_an_approval_counts_from_whom_it_should_and_from_nobody_else",
            "guard/test_clearance.py::test_an_empty_list_means_nobody_never_everybody",
            "approvals/test_people.py::test_two_of_two_are_two_people_whatever_their_accounts",
            "approvals/test_base.py::test_a_stranger_cannot_reject_either",
            "approvals/test_base.py::test_a_working_tree_that_grants_itself_rights_grants_none",
            "approvals/test_signed.py::test_two_signatures_of_two_people_open_the_checkpoint_and_verify_later",
            "approvals/test_signed.py::test_only_the_key_of_the_approver_who_is_named_counts",
            "approvals/test_sandbox.py::test_two_people_with_two_keys_ship_what_touches_ci_and_data",
            "test_signatures.py::test_no_other_bytes_key_purpose_or_text_verifies",
        ),
    ),
    "APR-5": Requirement(
        "What is shown is rendered by code; control, bidirectional and invisible characters of strangers are spelt out.",
        (
            "render/test_timeline.py::test_what_strangers_wrote_cannot_move_the_cursor_or_turn_the_text",
            "render/test_timeline.py::test_a_card_is_wrapped_in_its_frame_and_never_cut",
            "render/test_svg.py::test_markup_that_strangers_wrote_is_text",
            "tools/test_text.py::test_controls_and_bidirectional_marks_are_spelt_out",
            _APPROVALS + "test_hostile_text_is_shown_escaped_and_marked_on_the_card",
            "render/test_text_homoglyphs.py::test_what_looks_like_something_else_is_marked",
            "attacks/test_hostile_texts.py::test_every_text_becomes_one_bounded_line_without_anything_raw",
        ),
    ),
    "APR-6": Requirement(
        "No pipe can approve; a scripted approval covers exactly what it names, and never a card that changed.",
        (
            _TERMINAL + "test_a_pipe_cannot_approve_and_draws_no_word",
            _WORDS + "test_a_scripted_approval_covers_exactly_what_it_names",
            _WORDS + "test_a_scripted_approval_never_covers_a_checkpoint_that_opened_again", _SHIPS,
            _APPROVALS + "test_an_approvals_file_in_the_working_tree_opens_nothing",
            "approvals/test_base.py::test_a_standing_approval_of_something_else_opens_nothing",
            "approvals/test_base.py::test_a_standing_approval_that_was_taken_back_opens_nothing",
            "approvals/test_terminals.py::test_what_is_no_terminal_approves_nothing_and_draws_no_word",
            "approvals/test_signed.py::test_a_call_that_only_says_it_was_signed_approves_nothing",
            "mcp/test_eliciting.py::test_without_policy_nobody_is_asked",
            "mcp/test_answers.py::test_a_tool_that_would_approve_does_not_exist",
            "chat/test_model.py::test_a_hostile_model_starts_nothing_and_approves_nothing",
            "chat/test_terminal.py::test_the_lines_of_a_pipe_are_answered_and_approve_nothing",
            _MCP + "test_a_chat_ships_through_an_approval_that_is_typed_elsewhere",
        ),
"part", "web",
    ),
    # --- watch and rollback -----------------------------------------------------------------------------------------
    "APR-7": Requirement(
        "Freezes (recurring, with a time zone) and locks hold a product; a permitted person overrides with a reason, on the record.",
        (
            "guard/test_policy.py::test_a_recurring_freeze_holds_in_its_windows_of_local_time",
            "release/test_policy.py::test_a_freeze_on_the_base_branch_refuses_and_one_in_the_working_tree_does_nothing",
            "release/test_policy.py::test_a_lock_refuses_the_start_says_who_and_why_and_a_stranger_cannot_take_it_off",
            "release/test_policy.py::test_an_override_is_a_permitted_persons_and_an_exception_on_the_record",
            "release/test_policy.py::test_after_a_rollback_the_product_is_locked_in_the_same_batch_and_rollbacks_pass",
            "cli/test_locking.py::test_freezes_are_listed_and_checked_by_the_base_branch",
        ),
    ),
    "APR-8": Requirement(
        "The manual checks that a product lists are answered by an approver, for this commit and not too long ago; unanswered fails.",
        (
            "guard/test_policy.py::test_every_manual_check_is_answered_with_yes_lately_and_for_this_commit",
            "cli/test_locking.py::test_manual_checks_are_asked_on_the_terminal_and_hold_the_release_until_they_are_yes",
        ),
    ),
    "PRO-11": Requirement(
        "A workflow may ask a permitted person's go for each act; what observes and drafts runs by itself.",
        (
            "release/test_policy.py::test_where_each_act_asks_nothing_moves_without_a_permitted_persons_go",
            "guard/test_policy.py::test_in_a_workflow_that_asks_each_act_waits_for_a_go_of_its_own",
        ),
        "part", "the workflow promote, which asks for each act, is not there yet",
    ),
    "RB-2": Requirement(
        "The way back is approved together with the release, restores a migrated database, verifies the version from before and "
        "opens an issue with a post-mortem; a restore that loses data asks.",
        (
            _FAULTS, _RELEASE + "test_a_rollback_after_a_migration_restores_the_database",
            "guard/test_gates.py::test_a_restore_that_loses_data_always_asks_and_every_restore_does_where_that_is_configured",
            "tools/test_drafts.py::test_an_issue_and_its_postmortem_carry_cause_and_timeline",
            _MODELS + "test_a_release_that_fails_after_its_contraction_takes_itself_back_with_the_data",
            _MODELS + "test_a_rollback_takes_the_database_back_where_the_version_before_cannot_live_with_it",
        ),
        "part", "a database is restored wherever a migration was tried, also where the code alone would do",
    ),
    "RB-3": Requirement(
        "Tags and evidence stay, and a rollback is never rolled back.",
        (_RELEASE + "test_a_released_version_is_rolled_back_on_its_own_and_never_twice", _IMPOSSIBLE,
         "test_promoting.py::test_a_rollback_is_never_rolled_back"),
    ),
    "RB-4": Requirement(
        "A watch compares error rate and latency with the baseline by thresholds that carry a unit; no data fails.",
        (
            "guard/test_watch.py::test_the_error_rate_may_rise_by_its_points_and_no_further",
            "guard/test_watch.py::test_a_relative_rise_is_per_cent_of_the_baseline",
            "guard/test_watch.py::test_latency_beyond_all_buckets_is_worse",
            "guard/test_watch.py::test_too_little_traffic_concludes_nothing_and_fails_at_the_end",
            "guard/test_watch.py::test_a_restart_resets_the_counters_and_what_came_since_counts",
        ),
        "part", "the anytime-valid statistics, the smallest rise that could have been seen, and every source but a metrics page",
    ),
    # --- agents -----------------------------------------------------------------------------------------------------
    "AGT-1": Requirement(
        "Seven personas, each a valid Claude Code subagent with our extras under one key, linted with suggestions.",
        (
            "playbook/test_persona.py::test_every_shipped_role_is_sound_with_the_registered_tools",
            "playbook/test_persona.py::test_no_role_can_change_anything",
            "playbook/test_bad_input.py::test_a_spoilt_persona_is_refused_at_its_line",
        ),
    ),
    "AGT-2": Requirement(
        "Handoffs are typed, along the edges that a role allows, three in a row at most, and on the record.",
        (
            _CONSULT + "test_a_question_is_handed_over_along_the_edges_of_the_roles",
            _CONSULT + "test_a_question_is_handed_over_three_times_at_most_and_never_in_a_circle",
            _CONSULT + "test_a_handoff_that_does_not_stand_is_none_and_the_answer_stays",
            _HOSTILE + "test_whatever_a_model_says_the_laws_hold",
        ),
    ),
    "AGT-3": Requirement(
        "A verdict is go or hold and cites evidence that exists; a hold waits for a person, whose reason is an exception on the record.",
        (
            _ENGINE + "test_a_hold_keeps_the_ship_in_port_until_a_person_lifts_it",
            _ENGINE + "test_a_citation_that_does_not_exist_is_a_hold", _IMPOSSIBLE,
            "render/test_timeline.py::test_a_hold_says_why_and_how_it_is_lifted",
            _CONSULT + "test_a_hold_may_cite_too_much_and_keeps_only_what_exists",
            _CONSULT + "test_a_verdict_that_is_none_falls_back_to_the_scripted_one",
        ),
    ),
    "AGT-4": Requirement(
        "The same effects, arguments and shas without a model, with a helpful, lazy, wrong, slow or dead one, and from a recording.",
        (
            _SHIPS, _SAME, _EFFECTS + "test_a_hold_only_cuts_the_effects_short",
            _EFFECTS + "test_a_release_that_goes_wrong_goes_wrong_in_the_same_way",
            _HOSTILE + "test_every_scenario_of_the_server_leaves_the_effects_as_they_are",
            "llm/test_recorded.py::test_a_release_replayed_in_another_world_comes_to_the_same_verdicts",
            _AGENTKILL + "test_killed_at_any_moment_nothing_is_asked_again_that_was_answered",
        ),
    ),
    "AGT-5": Requirement(
        "Strangers' texts are fenced with where they are from, a role has one power at most, and notes name only what is in the release.",
        (
            _HOSTILE + "test_whatever_a_model_says_the_laws_hold",
            _HOSTILE + "test_the_tools_of_a_persona_are_those_of_its_role_and_of_the_step",
            "tools/test_briefs.py::test_what_strangers_wrote_stays_within_its_fence",
            _COMPOSED + "test_words_that_say_more_than_they_may_are_refused_in_highlights",
            _COMPOSED + "test_an_entry_has_a_reference_that_the_template_would_show",
            "tools/test_slices.py::test_a_leaked_secret_is_withheld_and_the_lines_around_it_are_not",
            "agents/test_looks.py::test_no_text_closes_a_fence_or_opens_one",
        ),
    ),
    "AGT-6": Requirement(
        "Tokens, money, turns and time have budgets of a step, a run and a day; the prefix can be cached; costs are told by run and agent.",
        (
            _CONSULT + "test_a_budget_that_is_spent_ends_the_conversation_and_nothing_else",
            _CONSULT + "test_what_other_runs_used_up_today_counts",
            _WIRE + "test_the_prefix_is_the_same_to_the_byte_in_all_turns_of_a_step_so_that_a_cache_hits",
            "chat/test_words.py::test_the_journal_is_private_redacted_and_counts_the_replies_of_a_day",
            "render/test_transcript.py::test_the_table_sums_what_each_agent_used_up_the_dearest_first",
            "cli/test_explain.py::test_a_run_is_explained_with_the_question_the_answer_and_the_costs",
            "chat/test_model.py::test_what_would_overrun_the_budget_of_the_day_is_not_asked",
        ),
    ),
    # --- the audited promotion --------------------------------------------------------------------------------------
    "AUD-1": Requirement(
        "Asked for on the promoted branch or the base; where nothing is ahead there is nothing to release, and that is no failure.",
        (_PROMOTED + "test_staging_is_promoted_with_a_trail_and_goes_back_by_the_way_it_came",
         "guard/test_gates.py::test_a_gate_passes_on_what_it_should_and_on_nothing_else"),
    ),
    "AUD-2": Requirement(
        "Statuses and check runs of the promoted commit are judged together; which are required is the forge's or the configuration's.",
        (_DEPLOYED + "test_ci_of_one_kind_or_both_is_judged_alike_and_the_newest_of_each_name_wins",
         _DEPLOYED + "test_required_checks_come_from_protection_and_rulesets",
         _DEPLOYED + "test_a_newer_failure_replaces_an_older_success",
         _PROMOTED + "test_what_is_not_fit_is_refused_and_nothing_moves"),
    ),
    "AUD-3": Requirement(
        "Open pull requests into the promoted branch are told as not in the release.",
        (_DEPLOYED + "test_open_pull_requests_into_a_branch_are_told_by_number",
         "render/test_promotion.py::test_the_summary_shows_contents_tickets_warnings_and_compliance"),
    ),
    "AUD-4": Requirement(
        "Commits, pull requests by relation, merge and subject, reviews, tickets, archives and areas; never a silently short list.",
        (
            _CONTENTS + "test_pull_requests_are_found_by_relation_subject_and_merge_and_say_how_they_came",
            _CONTENTS + "test_what_has_no_pull_request_is_listed_whatever_its_subject_says",
            _CONTENTS + "test_a_merge_speaks_only_for_what_it_brought_and_was_reviewed",
            _CONTENTS + "test_tickets_come_from_messages_texts_and_branches",
            _CONTENTS + "test_areas_are_counted_by_globs_and_the_rest_is_other",
            _CONTENTS + "test_one_log_and_one_listing_of_archives_are_read",
            _BATCHES + "test_what_the_forge_never_tells_is_named", _BATCHES + "test_a_forge_that_is_down_is_no_short_list",
            _BATCHES + "test_a_limit_is_waited_for_as_long_as_the_forge_says",
            _BATCHES + "test_at_most_four_requests_are_under_way_at_once",
        ),
    ),
    "AUD-5": Requirement(
        "Tickets are read through the MCP server of .mcp.json, whose tools are found by name and schema; what is missing is a warning.",
        (
            _TICKETS + "test_tickets_are_shown_as_they_are_and_missing_ones_are_named",
            _TICKETS + "test_a_tool_is_chosen_by_name_and_its_arguments_by_its_schema",
            _TICKETS + "test_the_file_is_read_from_the_base_branch_and_never_from_the_working_tree",
            "tools/test_tickets_community.py::test_tickets_are_read_through_the_communitys_servers",
            _PROMOTED + "test_what_is_missing_is_a_warning_that_stays_in_the_record_and_a_lost_reply_loses_nothing",
        ),
    ),
    "AUD-6": Requirement(
        "A pull request without an archive is a warning that stays in the record.",
        (_CONTENTS + "test_archives_are_looked_up_on_the_audit_branch",
         _PROMOTED + "test_what_is_missing_is_a_warning_that_stays_in_the_record_and_a_lost_reply_loses_nothing"),
    ),
    "AUD-7": Requirement(
        "The summary: from and to, counts, pull requests with archives, tickets, areas, and boxes that evidence ticks.",
        ("render/test_promotion.py::test_the_summary_shows_contents_tickets_warnings_and_compliance",
         "render/test_promotion.py::test_a_crowded_card_counts_what_it_leaves_out"),
    ),
    "AUD-8": Requirement(
        "A person confirms by word, or as policy says, with what it does spelt out.",
        (_PROMOTED + "test_staging_is_promoted_with_a_trail_and_goes_back_by_the_way_it_came",
         "render/test_promotion.py::test_the_card_of_a_promotion_says_what_it_does_and_nothing_that_does_not_apply"),
    ),
    "AUD-9": Requirement(
        "The base moves to the exact approved commit, forward only, by compare-and-swap, without a checkout; diverged is an error.",
        (_MOVES + "test_the_base_moves_to_exactly_that_commit_and_nothing_else_changes",
         _MOVES + "test_what_has_diverged_is_named_and_never_forced", _MOVES + "test_who_was_first_is_not_overrun",
         _PROMOTED + "test_what_is_not_fit_is_refused_and_nothing_moves"),
    ),
    "AUD-10": Requirement(
        "The deployment of that push is found by its commit and waited for; a failure is an outcome on record and tells no ticket.",
        (_DEPLOYED + "test_it_is_waited_for_from_before_it_appears_to_its_end",
         _DEPLOYED + "test_the_newest_deployment_of_the_commit_counts",
         _PROMOTED + "test_a_deployment_that_fails_leaves_an_outcome_on_record_and_tells_no_ticket"),
    ),
    "AUD-11": Requirement(
        "Each ticket gets one comment, once, also after crashes.",
        (_TICKETS + "test_each_ticket_gets_one_comment_however_often_it_is_asked_for",
         _TICKETS + "test_a_mark_on_a_later_page_is_found", _CRASH + "test_a_killed_run_ends_like_the_golden_one",
         "tools/test_tickets_community.py::test_each_ticket_gets_one_comment_through_the_communitys_servers"),
    ),
    "AUD-12": Requirement(
        "An intent record is on the remote before production moves, an outcome record follows whatever happens; none is rewritten.",
        (
            _RECORDS + "test_intent_and_outcome_are_written_read_back_and_the_clone_stays_as_it_is",
            _RECORDS + "test_a_record_that_is_there_is_found_and_one_with_other_words_is_a_conflict",
            _RECORDS + "test_somebody_elses_commit_that_came_first_is_built_upon",
            _CLOSING + "test_the_guard_lets_nothing_reach_production_before_its_intent_is_on_record",
            _CLOSING + "test_an_aborted_run_writes_its_outcome_and_nothing_else",
            _PROMOTED + "test_an_abort_after_the_intent_writes_the_outcome",
            _PROMOTED + "test_a_release_writes_its_records_and_anchors_the_ledger_in_its_tag",
        ),
    ),
    "AUD-13": Requirement(
        "The final report: what moved, counts, deployment, where the record is, tickets told.",
        ("render/test_promotion.py::test_the_report_says_what_moved_where_its_record_is_and_who_was_told",),
    ),
    "AUD-14": Requirement(
        "A dry run shows the summary and says how to execute it.",
        ("render/test_promotion.py::test_a_dry_run_shows_the_whole_summary_and_how_to_execute_it",),
    ),
    "AUD-15": Requirement(
        "A rollback is reverted on the promoted branch first, then the base moves to it; the next promotion is a fast-forward.",
        (_PROMOTED + "test_staging_is_promoted_with_a_trail_and_goes_back_by_the_way_it_came",
         _MOVES + "test_a_revert_keeps_what_came_since_and_the_base_can_move_to_it",
         _MOVES + "test_a_revert_that_conflicts_is_named_and_pushes_nothing",
         "test_promoting.py::test_the_last_promotion_is_taken_back_to_what_it_moved_the_base_from"),
    ),
    # --- audit, surfaces --------------------------------------------------------------------------------------------
    "AUT-1": Requirement(
        "Every effect, refusal, gate, approval and exception is an event of a chain that is verified offline, against a known head.",
        (
            _SHIPS, _VERIFY + "test_every_change_of_a_byte_is_found", _VERIFY + "test_a_dropped_entry_is_found",
            _VERIFY + "test_swapped_entries_are_found", _VERIFY + "test_a_fork_is_found",
            _VERIFY + "test_a_cut_tail_is_found_by_a_noted_head",
            "cli/test_status.py::test_verify_accepts_a_sound_ledger_and_a_known_head",
            "cli/test_status.py::test_verify_finds_an_edited_entry",
            "cli/test_explain.py::test_a_run_is_explained_with_the_question_the_answer_and_the_costs",
            _AGENTKILL + "test_killed_at_any_moment_nothing_is_asked_again_that_was_answered",
            "ledger/test_sqlite.py::test_a_second_journal_of_this_process_takes_no_lock_off_the_first",
            _PROMOTED + "test_a_release_writes_its_records_and_anchors_the_ledger_in_its_tag",
            _TAMPER + "test_of_ten_thousand_tampered_ledgers_each_is_told",
            _EXPORT + "test_a_tag_that_names_another_head_is_named",
        ),
    ),
    "AUT-2": Requirement(
        "A record has who, when, what, reviews, tickets, checks, approvals with their words, plan, outcome and every exception.",
        (_RECORDING + "test_a_promotions_record_has_its_contents_tickets_checks_and_every_gap_as_an_exception",
         _RECORDING + "test_an_approval_has_its_person_its_time_and_the_word_as_presented_and_entered",
         _RECORDING + "test_acts_artefacts_and_own_commits_are_those_that_were_done",
         _RECORDS + "test_the_schema_takes_a_record_and_refuses_what_is_no_field_of_it"),
    ),
    "AUT-3": Requirement(
        "An export of a period is one folder that verifies elsewhere, complete against the base's line and the forge's deployments.",
        (_EXPORT + "test_an_export_verifies_on_another_machine_from_its_files_and_the_remote_alone",
         _EXPORT + "test_the_instructions_work_with_python_git_and_coreutils_alone",
         _EXPORT + "test_every_commit_of_the_line_has_one_record_or_is_listed",
         _EXPORT + "test_the_forges_deployments_are_held_against_the_records",
         _EXPORT + "test_a_branch_on_which_a_record_was_changed_or_that_was_written_anew_is_named"),
    ),
    "FACE-5": Requirement(
        "A job that waits ends with 10, and a later job on another machine carries the release on; nothing is lost or done twice.",
        (
            "release/test_two_jobs.py::test_two_jobs_and_a_person_on_empty_folders_carry_one_release",
            "release/test_action.py::test_it_is_valid_by_the_official_schema",
            "crash/test_git_journal.py::test_a_job_that_is_killed_at_a_boundary_goes_on_from_an_empty_disk",
            "crash/test_git_journal.py::test_of_two_jobs_at_once_one_works_and_the_other_moves_nothing",
            "ledger/test_gitjournal.py::test_each_push_adds_one_file_and_changes_none",
        ),
    ),
    "AUT-4": Requirement(
        "Secrets that are held reach no log, ledger or report, in any common encoding.",
        (
            "tools/test_text.py::test_a_held_secret_is_redacted_in_every_common_form",
            _DEPLOY + "test_a_failing_command_shows_the_end_of_its_output_without_secrets",
            _HARBOUR + "test_a_suite_sees_no_credential_and_its_log_is_harmless",
            "tools/test_repository.py::test_a_token_in_the_remotes_url_is_in_no_argument_and_no_message",
            "attacks/test_secrets.py::test_a_release_in_which_everything_echoes_the_credentials_tells_nobody",
            "attacks/test_hostile_repository.py::test_the_trap_works",
            "tools/test_secrets.py::test_a_token_of_a_known_shape_is_named_by_file_line_and_rule_and_never_shown",
            "tools/test_secrets.py::test_only_the_base_branch_can_allow_a_finding_and_only_that_very_one",
        ),
        "part", "no models and no pages yet",
    ),
    "FACE-1": Requirement(
        "One command line with stable exit codes and one JSON object of a versioned schema.",
        (
            "cli/test_arguments.py::test_the_commands_that_the_interfaces_promise_are_there",
            "cli/test_arguments.py::test_an_error_in_json_is_one_object_on_standard_output",
            "cli/test_status.py::test_the_json_of_a_run_says_where_it_stands_and_what_is_next",
            "cli/test_demo.py::test_a_refused_demo_exits_20_with_one_json_object",
            "test_docs.py::test_the_exit_codes_of_the_documents_are_those_of_the_code",
        ),
        "part", "chat, mcp, serve, worker, init, validate, lock, unlock, freeze, audit export and state adopt",
    ),
    "FACE-2": Requirement(
        "Progress is drawn in place on a terminal and as plain lines elsewhere; both end with the same last word.",
        (
            "render/test_live.py::test_a_log_gets_each_finished_phase_once_and_in_order",
            "render/test_live.py::test_the_last_picture_on_a_terminal_is_the_whole_timeline",
            "render/test_timeline.py::test_no_line_is_wider_than_the_screen",
            "render/test_timeline.py::test_colours_only_where_they_are_wanted",
        ),
    ),
    "FACE-3": Requirement(
        "A chat in the terminal and an MCP server start, follow and explain releases; neither can approve one.",
        (
            _CHAT + "test_a_release_and_its_way_back_from_the_first_question_to_the_last",
            "chat/test_terminal.py::test_the_word_typed_under_the_card_approves_and_is_in_no_history",
            "chat/test_terminal.py::test_a_word_that_was_drawn_reaches_no_model",
            "chat/test_model.py::test_a_hostile_model_starts_nothing_and_approves_nothing",
            "chat/test_words.py::test_the_transcript_of_the_page_is_of_the_chat_as_it_is_now",
            _MCP + "test_a_chat_ships_through_an_approval_that_is_typed_elsewhere", _MCP + "test_a_chat_rolls_back",
            "mcp/test_answers.py::test_there_are_tools_with_schemas_and_hints_and_none_approves",
            "mcp/test_eliciting.py::test_a_person_approves_through_their_client_where_policy_allows_it",
            "mcp/test_door.py::test_only_who_shows_the_token_comes_in",
        ),
    ),
    "FACE-6": Requirement(
        "People are told through apprise, ntfy, webhooks and files; one message is updated where the service can, and what was "
        "not delivered is on the record.",
        (
            "release/test_worker.py::test_a_dead_notifier_stops_nothing_and_the_ledger_says_that_nobody_was_told",
            "tools/test_notify.py::test_a_webhook_is_put_to_the_same_address_for_every_state_of_a_run",
            "tools/test_notify.py::test_ntfy_is_given_the_id_by_which_it_updates_what_it_showed",
            "tools/test_notify.py::test_apprise_delivers_through_a_real_service",
        ),
    ),
    # --- the guard's laws -------------------------------------------------------------------------------------------
    "I1": Requirement(
        "Effects are a closed list of typed tools; an unknown tool or an argument outside its grammar is refused before any I/O.",
        (
            "tools/test_door.py::test_an_argument_that_does_not_fit_is_refused_before_any_io",
            "tools/test_door.py::test_an_unknown_or_missing_argument_is_refused",
            "tools/test_door.py::test_a_tool_that_is_not_of_this_kind_does_not_exist",
            "test_architecture.py::test_effects_are_applied_in_perform_and_nowhere_else",
        ),
    ),
    "I2": Requirement(
        "What is performed is what was planned, whatever an agent says; a hold can only cut it short.",
        (
            _IMPOSSIBLE, _ENGINE + "test_a_go_opens_no_gate",
            _ENGINE + "test_a_hold_keeps_the_ship_in_port_until_a_person_lifts_it",
            _ATTACK,
            "attacks/test_hostile_texts.py::test_a_text_changes_no_effect_and_keeps_no_release_from_completing",
            "attacks/test_hostile_texts.py::test_a_release_of_a_hostile_repository_completes_and_does_what_the_plain_one_does",
            _HOSTILE + "test_whatever_a_model_says_the_laws_hold",
            _SAME,
        ),
    ),
    "I3": Requirement(
        "Every effect is in the approved plan, in its order, each at most once.",
        (
            _IMPOSSIBLE, _ENGINE + "test_the_golden_run_does_everything_once_and_in_order",
            _ENGINE + "test_nothing_reaches_production_before_the_approval",
            _ATTACK,
        ),
    ),
    "I4": Requirement(
        "Nothing moves before its gates pass on evidence about the same commit that is young enough; what is unknown fails.",
        (
            _GATES, "guard/test_gates.py::test_every_rule_has_a_case_that_passes_and_one_that_fails",
            "guard/test_gates.py::test_evidence_about_another_commit_fails",
            "guard/test_gates.py::test_evidence_outlives_its_age_and_is_looked_for_again",
            "guard/test_gates.py::test_evidence_from_the_future_is_not_trusted",
            _ENGINE + "test_stale_evidence_is_looked_at_again_and_bad_news_stops_the_act",
            "tools/test_forge_pages.py::test_a_list_that_grew_while_it_was_read_is_not_complete",
            _ATTACK,
        ),
    ),
    "I5": Requirement(
        "Success is what a read after the write finds, never an exit code or a text.",
        (
            _ENGINE + "test_an_answer_that_was_lost_is_no_failure",
            _ENGINE + "test_an_effect_that_cannot_be_read_back_halts_and_is_never_repeated_blindly",
            _DEPLOY + "test_a_command_that_claims_success_is_not_believed_until_the_environment_answers",
            _ACTS + "test_a_push_whose_reply_is_lost_is_judged_by_the_read_back",
            _MODELS + "test_a_deploy_command_that_got_no_answer_is_judged_by_what_runs_and_not_by_its_exit_code",
        ),
    ),
    "I6": Requirement(
        "Children are argument lists with a grammar for refs and paths, a timeout, a cap on output, and a group that is killed whole.",
        (
            "tools/test_child.py::test_arguments_reach_the_program_unread_by_any_shell",
            "tools/test_child.py::test_a_time_out_kills_the_whole_group",
            "tools/test_child.py::test_a_capped_stream_keeps_its_head_and_its_tail",
            "tools/test_child.py::test_the_working_directory_never_chooses_the_program",
            "tools/test_child.py::test_a_killed_conductor_leaves_no_grandchild",
            "tools/test_door.py::test_no_text_that_passes_as_a_ref_can_be_an_option_or_an_expression",
            "test_architecture.py::test_nothing_is_started_through_a_shell",
            "attacks/test_hostile_repository.py::test_names_that_look_like_options_or_hold_controls_are_names_and_nothing_else",
            "attacks/test_hostile_repository.py::test_a_whole_rehearsal_and_a_whole_release_of_a_hostile_clone_run_nothing_of_it",
            "test_folder.py::test_a_folder_that_git_keeps_is_refused_whatever_the_form_of_the_index",
        ),
        "part", "a child that leaves its group (setsid) outlives a killed conductor",
    ),
    "I7": Requirement(
        "A child gets an allow-listed environment and only the credentials it needs.",
        (
            "tools/test_child.py::test_the_environment_is_exactly_the_given",
            _DEPLOY + "test_a_command_deploys_in_a_checkout_with_its_credentials_only",
            _HARBOUR + "test_a_staging_command_cannot_read_productions_credentials",
            _HARBOUR + "test_a_suite_sees_no_credential_and_its_log_is_harmless",
            "tools/test_forge_pages.py::test_only_gh_receives_the_forges_credentials_and_nothing_else_of_the_conductor",
            "tools/test_repository.py::test_nothing_that_the_clones_configuration_names_ever_runs",
            "tools/test_remote_login.py::test_the_token_reaches_the_remote_and_no_message",
            "tools/test_remote_login.py::test_plain_http_to_another_machine_gets_no_token",
            "tools/test_seal.py::test_a_child_of_the_same_user_cannot_read_what_the_conductor_holds",
            "tools/test_seal.py::test_the_guardian_holds_nothing",
            "attacks/test_secrets.py::test_a_release_in_which_everything_echoes_the_credentials_tells_nobody",
        ),
    ),
    "I8": Requirement(
        "No held secret, raw or encoded, leaves the tools.",
        (
            "tools/test_redaction.py::test_a_probes_detail_and_a_commands_complaint_hold_no_secret_in_any_form",
            "tools/test_redaction.py::test_half_a_secret_at_a_cut_is_not_shown_either",
            "tools/test_redaction.py::test_summaries_facts_and_their_keys_hold_no_secret",
            "tools/test_text.py::test_a_held_secret_is_redacted_in_every_common_form",
            "attacks/test_secrets.py::test_a_release_in_which_everything_echoes_the_credentials_tells_nobody",
            "laws/test_effects.py::test_i08_no_form_of_a_held_secret_gets_through",
            "attacks/test_hostile_repository.py::test_the_doctor_asks_the_remote_without_running_anything_of_the_clone",
            _HOSTILE + "test_a_held_secret_reaches_no_request_and_no_ledger",
            "llm/test_anthropic.py::test_headers_that_the_process_environment_holds_go_nowhere",
        ),
    ),
    "I9": Requirement(
        "Files are read and written inside the project: no symbolic link out of it, no parent folder.",
        (
            "tools/test_door.py::test_no_text_that_passes_as_a_path_leaves_the_repository",
            "playbook/test_find.py::test_a_link_out_of_the_project_is_refused",
            "tools/test_notify.py::test_a_symbolic_link_is_not_followed", "test_statefile.py::test_a_symbolic_link_is_refused",
            "test_config.py::test_a_path_never_leaves_the_project",
        ),
    ),
    "I10": Requirement(
        "Just before each covered act its pins are read again; a difference voids the approval and nothing happens.",
        (
            _ENGINE + "test_a_pin_that_changed_voids_the_approval_and_the_card_shows_the_difference",
            _ENGINE + "test_a_pin_that_changes_between_two_acts_stops_the_second_one", _FAULTS,
            _ATTACK,
        ),
    ),
    "I11": Requirement(
        "A range that touches CI, policy, workflows, agents, prompts or lock files asks for one more named approval.",
        (
            "tools/test_touched.py::test_a_path_belongs_to_the_rules_that_it_changes",
            "approvals/test_base.py::test_a_range_that_touches_the_rules_needs_one_more_whatever_the_run_says_it_saw",
            "approvals/test_sandbox.py::test_two_people_with_two_keys_ship_what_touches_ci_and_data",
        ),
    ),
    "I12": Requirement(
        "A database that says it is another one is refused before anything moves; staging and production share nothing.",
        (
            _HARBOUR + "test_a_database_that_is_another_one_is_refused_before_anything_moves",
            _HARBOUR + "test_a_staging_command_cannot_read_productions_credentials",
            "playbook/test_bad_input.py::test_a_spoilt_configuration_is_refused_at_its_line",
        ),
        "part", "accounts and host roles",
    ),
    "I13": Requirement(
        "An approver sees what code rendered from the plan; strangers' texts are escaped, marked and bounded, omissions counted.",
        (
            "attacks/test_hostile_texts.py::test_every_text_becomes_one_bounded_line_without_anything_raw",
            "render/test_card.py::test_notes_of_strangers_are_escaped_and_cannot_widen_the_card",
            "incidents/test_incidents.py::test_bybit_2025_the_approver_sees_another_summary_than_what_is_signed",
            "mcp/test_answers.py::test_a_tool_that_would_approve_does_not_exist",
        ),
    ),
    "I14": Requirement(
        "No pipe and no tool can approve; an approval by an account that nobody authenticated is an exception on the record.",
        (
            _TERMINAL + "test_a_pipe_cannot_approve_and_draws_no_word",
            "test_architecture.py::test_approvals_are_written_by_people_and_nowhere_else",
            _ATTACK,
            "guard/test_clearance.py::test_who_approves_what_they_started_leaves_an_exception_or_it_does_not_fold",
            "test_signatures.py::test_no_other_bytes_key_purpose_or_text_verifies",
            "approvals/test_terminals.py::test_what_was_pasted_is_not_typed",
            "mcp/test_answers.py::test_a_tool_that_would_approve_does_not_exist",
        ),
    ),
    "I15": Requirement(
        "A word lives 15 minutes, is never the last one, is good once, and a checkpoint has three.",
        (
            _WORDS + "test_the_last_word_is_never_drawn_again", _WORDS + "test_only_the_exact_word_matches",
            _WORDS + "test_the_exact_word_matches_until_it_expires", _IMPOSSIBLE,
            "guard/test_fold.py::test_three_wrong_words_are_counted_and_a_late_right_one_is_not",
            _TERMINAL + "test_the_right_word_typed_exactly_approves",
            _ATTACK,
        ),
    ),
    "I16": Requirement(
        "Rejection, abort and expiry end a run for good.",
        (
            _IMPOSSIBLE, _ENGINE + "test_a_checkpoint_that_expires_ends_the_run",
         "cli/test_status.py::test_reject_and_abort_end_a_run_for_good",
            "engine/test_engine.py::test_an_approval_outlives_its_card_only_where_production_was_touched",
            _ATTACK,
        ),
    ),
    "I17": Requirement(
        "Each promoted commit came by a pull request approved as it was merged, is a run's own on record, or is listed and blocked.",
        (_CONTENTS + "test_reviewed_is_an_approval_by_somebody_else_of_exactly_what_was_merged",
         _CONTENTS + "test_a_runs_own_commit_counts_only_where_its_record_lists_it",
         "laws/test_releases.py::test_i17_what_does_not_descend_or_nobody_vouched_for_is_not_released"),
    ),
    "I18": Requirement(
        "Nothing is forced, no tag is moved, and only the run's own merged branch is deleted.",
        (
            _ACTS + "test_a_push_that_is_no_fast_forward_is_refused_before_it_leaves",
            _ACTS + "test_a_tag_on_another_commit_is_a_conflict_and_is_never_moved",
            _ACTS + "test_only_that_tag_is_pushed", _ACTS + "test_nothing_but_a_branch_or_tag_is_ever_pushed",
            _ACTS + "test_a_branch_that_is_not_merged_or_not_ours_stays",
            _ACTS + "test_a_superseded_branch_is_built_upon_never_forced",
            _DEPLOY + "test_going_back_is_a_new_commit_that_carries_the_old_tree",
        ),
    ),
    "I19": Requirement(
        "Version files, tag, changelog and what production answers agree, and the tag names the deployed commit.",
        (_SHIPS, _DEPLOY + "test_the_right_version_at_another_commit_is_not_ours"), "part", "no image digests yet",
    ),
    "I20": Requirement(
        "Exactly the migrations that the released range adds are applied, by name and digest, and after a restorable backup.",
        (
            _HARBOUR + "test_pending_migrations_are_exactly_those_that_the_range_adds",
            _HARBOUR + "test_a_pending_migration_that_no_commit_of_the_range_adds_is_unexpected",
            _HARBOUR + "test_a_backup_that_fails_is_no_backup", _FAULTS,
            "release/test_restored.py::test_a_mended_release_brings_the_rolled_back_migrations_again",
            "release/test_restored.py::test_a_migration_of_neither_the_range_nor_the_rolled_back_release_is_unexpected_still",
            "guard/test_gates.py::test_a_backup_that_is_too_old_lets_nothing_touch_production",
        ),
        "part", "a size floor other than one byte; restoring is claimed by the command, not rehearsed",
    ),
    "I21": Requirement(
        "A migration that destroys data asks for one more named approval, which lists where.",
        (
            "tools/test_touched.py::test_what_destroys_data_is_found_whatever_hides_it",
            "approvals/test_sandbox.py::test_two_people_with_two_keys_ship_what_touches_ci_and_data",
        ),
        "part", "only SQL and migrations are looked at",
    ),
    "I22": Requirement(
        "Freezes and locks are asked in code before every effect on an environment.",
        (
            "guard/test_policy.py::test_a_freeze_refuses_what_reaches_an_environment",
            "release/test_policy.py::test_a_freeze_that_begins_while_a_run_waits_holds_it",
            "release/test_policy.py::test_a_lock_during_a_run_stops_it_before_it_reaches_production_and_it_goes_on_afterwards",
        ),
    ),
    "I24": Requirement(
        "Healthy is the expected version and good health several times in a row.",
        (
            _DEPLOY + "test_healthy_is_the_right_version_several_times_in_a_row",
            _DEPLOY + "test_anything_else_is_not_healthy_and_says_why",
            _DEPLOY + "test_one_bad_look_starts_the_count_anew",
        ),
    ),
    "I25": Requirement(
        "The watch's window is part of the plan and is never shortened.",
        (
            _IMPOSSIBLE, "playbook/test_bad_input.py::test_a_spoilt_configuration_is_refused_at_its_line",
            "guard/test_fold.py::test_a_watch_that_saw_nothing_healthy_is_not_closed_as_healthy",
        ),
        "part", "no severity table",
    ),
    "I26": Requirement(
        "A rollback goes to a version that was recorded as live.",
        (
            _RELEASE + "test_a_released_version_is_rolled_back_on_its_own_and_never_twice",
            _RELEASE + "test_there_is_nothing_to_roll_back_before_anything_was_shipped",
            "release/test_release.py::test_a_hotfix_that_lands_meanwhile_stops_a_release_whose_way_back_it_changed",
        ),
        "part", "the way back is not rehearsed on staging before production is deployed",
    ),
    "I27": Requirement(
        "The intent is durable before an effect, the outcome after it.",
        (
            _ENGINE + "test_a_kill_at_any_boundary_leaves_nothing_undone_and_nothing_done_twice",
            "guard/test_fold.py::test_an_outcome_is_recorded_even_where_the_run_was_aborted_meanwhile", _IMPOSSIBLE,
            "ledger/test_sqlite.py::test_a_killed_writer_loses_nothing_that_was_acknowledged",
        ),
    ),
    "I28": Requirement(
        "Whatever is killed and whenever, the world ends like that of a run that nobody killed.",
        (
            "crash/test_crash.py::test_a_killed_run_ends_like_the_golden_one",
            _KILL + "test_a_release_killed_again_and_again_ends_like_one_that_nobody_killed",
            _KILL + "test_the_comparison_tells_an_effect_that_was_repeated",
            _ENGINE + "test_a_kill_within_the_rollback_is_survived_too",
            _ATTACK,
            _AGENTKILL + "test_killed_at_any_moment_nothing_is_asked_again_that_was_answered",
        ),
    ),
    "I29": Requirement(
        "Each effect is keyed, or looked at twice in quiescence, or asks a person; ambiguity halts.",
        (
            _ENGINE + "test_a_kill_at_any_boundary_leaves_nothing_undone_and_nothing_done_twice",
            _ENGINE + "test_an_act_of_class_h_that_was_interrupted_asks_a_person", _ENGINE + "test_a_broken_probe_is_found_out",
            _DEPLOY + "test_a_probe_that_cannot_tell_means_unknown",
        ),
    ),
    "I30": Requirement(
        "One conductor a product, by a lease with fencing; a stale holder performs nothing.",
        (
            _KILL + "test_of_two_conductors_at_once_one_works_and_the_other_is_refused",
            _KILL + "test_a_stopped_conductor_whose_lease_was_taken_over_performs_nothing_when_it_goes_on",
            "ledger/test_contract.py::test_an_expired_lease_is_taken_over_and_the_stale_holder_writes_nothing",
            "test_lease_holder.py::test_a_holder_that_may_be_alive_keeps_its_lease",
            _ATTACK,
        ),
    ),
    "I31": Requirement(
        "What a model said is in the ledger before it is used, and no resume asks again for what was answered.",
        (
            _AGENTKILL + "test_killed_at_any_moment_nothing_is_asked_again_that_was_answered",
            _AGENTKILL + "test_a_conductor_that_is_killed_among_its_agents_asks_nothing_again",
            _CONSULT + "test_what_somebody_appends_at_any_moment_makes_nobody_ask_again",
            _WIRE + "test_what_was_said_before_is_sent_again_as_it_was",
        ),
    ),
    "I32": Requirement(
        "Files and ledger are parsed strictly; what is unknown, twice or corrupt halts, and the original is kept.",
        (
            "test_events.py::test_a_missing_or_unknown_field_is_refused", "test_events.py::test_an_unknown_kind_is_refused",
            "test_yamlfile.py::test_what_is_not_strict_is_refused_with_its_line",
            "ledger/test_sqlite.py::test_a_ledger_that_was_cut_short_is_refused_and_kept",
            "test_statefile.py::test_a_file_that_is_not_strict_is_refused_and_kept", _IMPOSSIBLE,
        ),
    ),
    "I33": Requirement(
        "Nothing reaches production before its intent record is on the remote, and an outcome follows each intent.",
        (_CLOSING + "test_the_guard_lets_nothing_reach_production_before_its_intent_is_on_record",
         _CLOSING + "test_a_ledger_in_which_production_moved_without_its_intent_does_not_fold",
         _CLOSING + "test_an_outcome_that_cannot_be_written_halts_and_is_written_at_the_next_resume",
         "laws/test_crashes.py::test_i33_every_effect_and_every_refusal_is_on_the_record",
         "crash/test_git_journal.py::test_a_job_that_is_killed_at_a_boundary_goes_on_from_an_empty_disk"),
    ),
    "I34": Requirement(
        "The ledger is append-only and chained; the verifier finds any edit, drop, reorder, truncation or fork against a known head.",
        (
            _VERIFY + "test_every_change_of_a_byte_is_found", _VERIFY + "test_an_edit_whose_hash_was_corrected_is_found",
            _VERIFY + "test_a_dropped_entry_is_found", _VERIFY + "test_swapped_entries_are_found",
            _VERIFY + "test_a_cut_tail_is_found_by_a_noted_head", _VERIFY + "test_a_fork_is_found",
            _VERIFY + "test_a_chain_written_anew_from_an_edit_on_is_found_by_a_noted_head",
            "test_folder.py::test_no_command_opens_a_ledger_that_a_commit_brought",
        ),
        "part", "it is not signed",
    ),
    "I36": Requirement(
        "Handoffs go along the edges of a role, for a known reason, on evidence that exists.",
        (
            _CONSULT + "test_a_handoff_that_does_not_stand_is_none_and_the_answer_stays",
            _HOSTILE + "test_whatever_a_model_says_the_laws_hold",
            "laws/test_agents.py::test_i36_a_question_is_handed_over_along_allowed_edges_with_a_known_reason_and_evidence",
        ),
    ),
    "I37": Requirement(
        "A persona's tools are a part of what its role may have, and none has more than one of untrusted input, secrets, state change.",
        (
            "playbook/test_persona.py::test_no_role_can_change_anything",
            "playbook/test_bad_input.py::test_a_spoilt_persona_is_refused_at_its_line",
            _HOSTILE + "test_the_tools_of_a_persona_are_those_of_its_role_and_of_the_step",
            "agents/test_looks.py::test_a_step_looks_again_only_at_what_it_rests_on_and_whoever_explains_trouble_at_all_that_was_looked_at",
        ),
    ),
    "I38": Requirement(
        "Budgets of tokens, money, turns and time are held by code; then the scripted agents go on, and the gates stay.",
        (
            _CONSULT + "test_a_budget_that_is_spent_ends_the_conversation_and_nothing_else",
            _HOSTILE + "test_whatever_a_model_says_the_laws_hold",
            "laws/test_agents.py::test_i38_what_models_use_up_is_bounded_and_then_the_scripted_agents_go_on",
        ),
    ),
    "I39": Requirement(
        "HTTP goes to addresses that the configuration allows, follows no redirect and no proxy, and resolves a name once.",
        (
            "tools/test_web.py::test_some_addresses_are_refused_always",
            "tools/test_web.py::test_private_addresses_need_the_configurations_word",
            "tools/test_web.py::test_the_name_is_resolved_once_and_the_judged_address_is_the_one_connected_to",
            "tools/test_web.py::test_a_redirect_is_an_answer_not_an_instruction",
            "mcp/test_door.py::test_only_its_own_names_reach_it",
            "mcp/test_door.py::test_pages_of_other_sites_are_refused",
        ),
        "part", "there is no dashboard and no MCP server whose requests could be forged",
    ),
    "I40": Requirement(
        "A dry run performs no effect and prints the plan digest of the real run.",
        (_RELEASE + "test_a_dry_run_changes_nothing_and_has_the_digest_of_the_real_run",),
    ),
}  # fmt: skip
