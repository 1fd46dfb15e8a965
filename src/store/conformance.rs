//! What every database must do to be the hive's store: one function a behaviour, generic over a [`Rig`] that opens a
//! fresh store. A database joins by a rig and one line per `conformance!` below.

mod agents;
mod api_keys;
mod batches;
mod canceling;
mod claiming;
mod copying;
mod crashing;
mod differential;
mod finishing;
mod keys;
mod leases;
mod links;
mod log;
mod looping;
mod migrating;
mod opening;
mod output;
mod patching;
mod performance;
mod plans;
mod postgres_migrating;
mod postgres_plans;
pub(crate) mod postgres_rig;
mod postgres_slow;
mod postgres_trouble;
mod quarantine;
mod random;
mod reading;
mod reporting;
mod retention;
mod sqlite_rig;
mod submitting;
mod trouble;
mod unique;
mod waiting;
mod world;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::port::BatchWriter;
use crate::readers::Readers;

/// A fresh store that tests may reopen and put obstacles into.
pub(crate) trait Rig: Sized {
    /// How many random histories are played: opening a store costs more on a server.
    const HISTORIES: u32;
    /// What applies batches.
    type Writer: BatchWriter;

    /// An empty store with room for so many lanes, whose clock stands still.
    fn with_lanes(lanes_max: u32) -> Self;
    /// Its writer.
    fn writer(&mut self) -> &mut Self::Writer;
    /// Its readers.
    fn readers(&self) -> &Readers;
    /// What it counts.
    fn metrics(&self) -> &Metrics;
    /// Its clock.
    fn clock(&self) -> &Clock;
    /// The highest id ever stored, as a start is told.
    fn highest_id(&self) -> i64;
    /// How many rows belong to a task that is gone.
    fn orphan_count(&self) -> i64;
    /// Whether a connection as readers use it can write.
    fn may_reader_write(&self) -> bool;
    /// Closes everything and opens it again, as a restart does.
    fn reopen(&mut self);
    /// Writes past the store.
    fn spoil(&mut self, sql: &str);
    /// Makes the database itself refuse every task of this title.
    fn refuse_title(&mut self, title: &str);
    /// Makes the database itself refuse every event whose data holds this text.
    fn refuse_event(&mut self, text: &str);
}

/// One test a behaviour.
macro_rules! conformance {
    ($name:ident: $rig:ty; $($module:ident { $($behaviour:ident,)* })*) => {
        mod $name { $(
            mod $module { $(
                #[test]
                fn $behaviour() {
                    $crate::conformance::$module::$behaviour::<$rig>();
                }
            )* }
        )* }
    };
}

macro_rules! on_every_database {
    ($($behaviours:tt)*) => {
        conformance! { sqlite: crate::conformance::sqlite_rig::SqliteRig; $($behaviours)* }
        conformance! { postgres: crate::conformance::postgres_rig::PostgresRig; $($behaviours)* }
    };
}

on_every_database! {
    submitting {
        a_task_is_queued_and_shown_as_it_was_asked_for,
        a_task_that_asks_for_nothing_gets_the_usual,
        a_delayed_task_is_scheduled,
        a_start_in_the_past_is_queued_at_once,
        a_free_agent_makes_it_working_in_the_same_commit,
        an_agent_that_is_gone_or_drains_or_cannot_leaves_it_queued,
        a_delayed_task_is_not_claimed_eagerly,
        a_task_pinned_to_nobody_is_refused,
        too_many_lanes_are_refused_and_known_ones_still_work,
        the_same_command_again_changes_nothing,
    }
    claiming {
        the_highest_priority_and_then_the_oldest_goes_first,
        a_claim_takes_no_more_than_there_are,
        a_claim_hands_out_everything_the_agent_needs,
        nobody_claims_for_an_agent_that_is_gone_or_drains,
        nobody_claims_what_the_agent_cannot_do,
        two_claims_of_one_batch_never_share_a_task,
        a_claim_behind_ends_takes_one_fewer_for_each_attempt_that_goes_on,
        an_unknown_lane_has_nothing,
        what_has_waited_too_long_is_not_handed_out,
        a_lease_is_the_shortest_of_what_bounds_it,
        a_claim_says_since_when_the_task_was_ready,
    }
    finishing {
        a_success_completes_and_keeps_its_result,
        a_failure_waits_for_its_backoff,
        the_last_failure_makes_a_dead_letter,
        a_failure_that_cannot_be_retried_is_final,
        an_attempt_handed_back_is_not_charged,
        a_stale_attempt_changes_nothing,
        a_repeated_report_is_told_so,
        another_report_for_an_ended_attempt_is_stale,
        an_unknown_task_is_not_found,
        long_errors_are_cut,
        a_reported_timeout_is_charged_and_called_so,
        a_timeout_beyond_the_close_deadline_is_final,
        what_an_attempt_cost_is_kept_however_it_ended,
        what_an_attempt_left_in_its_workspace_is_kept,
    }
    crashing {
        what_a_process_worked_on_is_queued_again_uncharged,
        the_third_crash_makes_a_dead_letter_and_a_redrive_counts_anew,
        a_crash_after_a_cancel_is_a_cancel,
        a_removed_process_is_still_known_as_one_as_long_as_it_works,
        crashes_are_ended_in_rounds_and_are_never_due,
    }
    links {
        a_process_comes_back_as_it_was_asked_for,
        a_patch_of_what_is_no_longer_so_changes_nothing,
        the_secrets_of_an_agent_leave_the_store_with_it,
        a_link_is_replaced_whole,
        no_event_carries_a_value_of_an_environment,
    }
    leases {
        a_renewal_counts_from_now_and_stops_at_the_cap,
        a_renewal_by_a_stale_attempt_is_refused,
        a_lost_lease_is_charged_and_comes_back_after_its_backoff,
        each_timeout_has_its_own_name,
        a_task_beyond_its_close_deadline_is_not_tried_again,
        leases_get_grace_after_a_start,
        leases_that_a_clock_gave_that_was_ahead_end_in_their_time_after_a_start,
        a_renewal_does_not_take_grace_back,
        the_reaper_takes_no_more_than_its_limit_and_says_when_the_next_is_due,
    }
    canceling {
        a_waiting_task_is_canceled_at_once,
        a_working_one_is_asked_and_its_failure_cancels_it,
        a_success_that_comes_first_wins,
        a_holder_that_does_not_end_is_reaped,
        force_takes_it_at_once_and_its_report_is_stale,
        a_second_cancel_answers_the_same_and_writes_nothing,
        what_has_ended_cannot_be_canceled,
        another_tenants_task_is_not_found,
    }
    patching {
        a_queued_task_moves_to_its_new_priority,
        labels_are_replaced_whole,
        nothing_is_written_when_nothing_changes,
        what_has_ended_cannot_be_patched,
        a_dead_letter_is_put_back_with_its_attempts_kept,
        only_a_dead_letter_is_redriven,
        a_redrive_counts_the_close_deadline_anew,
    }
    output {
        pieces_come_back_in_order_from_where_one_left_off,
        output_beyond_its_limit_is_cut_between_characters_and_marked,
        what_follows_a_cut_is_stored_and_the_piece_before_it_marked,
        what_follows_a_cut_takes_no_more_than_its_room,
        a_piece_that_is_sent_again_is_stored_once,
        only_the_present_attempt_may_write,
    }
    agents {
        an_agent_is_registered_under_a_free_name,
        each_change_is_stored_and_told_once,
        a_removed_agent_is_gone_and_its_name_is_free,
        another_tenants_agent_is_not_found,
        a_queue_is_paused_and_resumed_once,
        the_limit_of_a_queue_and_its_pause_do_not_touch_each_other,
        a_pinned_task_needs_its_agent_to_stay,
    }
    api_keys {
        a_key_is_kept_as_it_was_made_and_told_of_without_its_hash,
        one_key_a_name,
        a_key_for_an_agent_needs_that_agent,
        a_tenant_has_no_more_keys_than_it_may,
        a_removed_key_is_gone_and_its_name_is_free,
        another_tenants_key_is_not_found,
        the_same_request_makes_one_key,
        a_command_that_comes_again_is_answered_as_the_first_time,
        the_id_of_a_removed_key_does_not_come_again,
    }
    reporting {
        only_the_holder_of_an_attempt_reports_about_it,
        who_held_an_attempt_is_told_that_it_is_over_and_who_never_did_is_not,
        another_tenants_attempt_is_one_that_does_not_exist,
    }
    keys {
        the_same_request_gets_the_same_task,
        without_room_only_what_came_before_is_answered,
        another_body_under_the_same_key_is_a_mismatch,
        keys_of_one_batch_see_each_other,
        a_key_whose_time_is_over_is_new,
        a_key_whose_task_is_gone_is_new,
        a_registration_is_guarded_too,
        keys_are_swept_when_their_time_is_over,
    }
    unique {
        one_task_at_a_time_has_a_key_and_the_next_gets_it_when_that_has_ended,
        a_key_for_a_time_is_free_after_it_whatever_became_of_its_task,
        a_key_for_ever_outlives_its_task,
        keys_leave_with_their_tasks_or_after_their_time,
        a_dead_letter_takes_its_key_again_unless_another_task_has_it,
        a_submit_that_is_sent_again_finds_the_task_that_it_made,
        an_idempotency_key_names_the_task_that_was_found_by_its_unique_key,
        many_tasks_share_a_commit_and_each_has_its_answer,
    }
    waiting {
        due_tasks_are_queued_longest_due_first,
        a_task_nobody_claims_in_time_is_a_dead_letter,
        a_backoff_restarts_the_wait_but_not_the_close_deadline,
        next_due_follows_what_waits,
    }
    retention {
        ended_tasks_leave_in_chunks_with_all_that_belongs_to_them,
        a_round_stops_early_when_tasks_leave_with_much_output,
        what_still_lives_stays,
        events_leave_only_as_far_as_a_checkpoint_covers_them,
        an_emptied_log_goes_on_where_it_was,
        a_removed_agents_row_leaves_later,
        the_highest_id_outlives_its_task,
        a_newer_checkpoint_replaces_the_older_only,
    }
    quarantine {
        a_head_that_cannot_be_understood_is_passed_over_until_it_can,
        many_that_cannot_be_understood_do_not_keep_a_claim_from_what_is_behind_them,
        many_that_cannot_be_understood_do_not_keep_a_janitor_from_what_is_behind_them,
        a_list_leaves_out_what_cannot_be_understood_and_its_own_reads_say_so,
        janitors_go_on_past_what_cannot_be_understood,
    }
    performance {
        a_row_is_read_as_it_was_stored_and_replaced_by_one_with_its_key,
        rows_that_are_too_old_leave_each_span_by_itself,
    }
    batches {
        a_batch_is_applied_in_order_and_its_events_have_no_gap,
        two_commands_for_one_task_in_one_batch_see_each_other,
        only_the_poison_command_is_refused,
        an_event_that_cannot_be_stored_is_its_commands_fault,
        a_lane_of_a_refused_command_can_be_interned_again,
        a_batch_that_comes_again_changes_nothing,
        a_restart_keeps_everything,
        a_system_event_must_be_a_small_object,
    }
    log {
        every_event_says_how_it_moved_its_task_also_when_read_back,
        a_tasks_events_are_found_without_the_others,
        every_kind_of_event_is_small_json,
        a_page_of_the_log_goes_on_where_the_last_one_ended,
    }
    reading {
        a_list_is_newest_first_and_pages_without_gap_or_repeat,
        a_list_by_state_and_queue_shows_just_those,
        other_filters_narrow_a_list,
        more_urgent_and_older_tasks_of_a_lane_are_ahead_counted_up_to_a_limit,
        a_long_list_with_a_rare_filter_goes_on_by_its_cursor,
        another_tenant_sees_nothing,
        readers_see_what_is_committed_from_two_connections_at_once,
        attempts_show_the_past_and_the_present_one,
        working_leases_are_listed_for_a_start,
        a_reader_cannot_write,
    }
    random {
        any_history_keeps_the_counts_equal_to_the_fold_of_its_events,
    }
}
