"""Attacks, kept for good: each file says the promise of docs/security.md that it attacks.

Some are elsewhere, beside what they attack. By promise:

- A secret is masked however it is written, and no mask tells its length:
  tests/test_secret_forms.py::test_it_is_found_however_it_is_written,
  tests/test_secret_forms.py::test_the_mask_does_not_show_how_long_a_secret_is,
  tests/test_fuzz.py::test_a_known_secret_never_shows_wherever_it_is_cut
- A secret that comes from outside becomes no id, type, key, value or payload:
  tests/test_known_secrets.py::test_an_event_is_kept_under_no_secret,
  tests/test_known_secrets.py::test_a_value_in_which_a_secret_stands_is_not_written,
  tests/test_known_secrets.py::test_a_header_that_proves_who_sends_is_neither_id_nor_type
- No error of a queue shows its password or a message:
  tests/test_redacting_client.py::test_a_server_that_quotes_the_password_shows_it_nowhere,
  tests/test_redacting_client.py::test_no_error_of_a_real_server_holds_a_message
- What a runtime makes is its owner's alone, and what is open is warned about:
  tests/test_private_files.py::test_all_that_a_runtime_makes_is_its_owners,
  tests/test_private_files.py::test_what_is_open_to_others_is_warned_about,
  tests/red_team/test_files.py::test_tokens_that_others_can_read_are_warned_about
- Nothing from outside writes into a terminal but text:
  tests/test_terminal_text.py::test_preview_and_sync,
  tests/test_terminal_text.py::test_events_replay_status_and_the_receivers_log
- A cell of an export calculates nothing:
  tests/test_spreadsheets.py::test_what_would_be_calculated_is_text
- An expression on data from outside has a budget:
  tests/test_bounded_jmespath.py::test_an_expression_that_multiplies_is_stopped,
  tests/test_bounded_jmespath.py::test_no_expression_makes_more_than_fits
- What is not signed destroys nothing and keeps no other event out:
  tests/test_unsigned_deletions.py::test_a_recorded_delivery_under_another_topic_deletes_nothing,
  tests/test_unsigned_deletions.py::test_an_id_that_was_taken_in_advance_keeps_no_event_out,
  tests/test_unsigned_deletions.py::test_what_stands_in_an_unsigned_header_is_known_of_each_scheme
- Requests go where they may, and to no other port, redirect or name:
  tests/test_ssrf_guard.py::test_a_host_that_is_allowed_is_not_called_at_another_port,
  tests/test_ssrf_guard.py::test_a_name_is_resolved_once_so_that_it_cannot_change_in_between,
  tests/red_team/test_upstream.py::test_a_redirect_takes_no_secret_elsewhere
- One stream, integration, chore, function or record that fails stops nothing beside it:
  tests/test_faults.py::test_an_integration_whose_secret_cannot_be_read_fails_alone_and_says_why,
  tests/test_faults.py::test_a_chore_that_fails_stops_no_other,
  tests/red_team/test_one_fault.py::test_a_handler_fails_its_own_event_whatever_it_raises,
  tests/red_team/test_one_fault.py::test_a_transform_fails_its_own_record_whatever_it_raises
- A setting is in its range and of its type, or refused by its name:
  tests/test_faults.py::test_numbers_out_of_range_are_refused_by_name_when_settings_are_saved,
  tests/red_team/test_settings.py::test_any_value_of_any_setting_is_read_or_refused_by_its_name,
  tests/red_team/test_settings.py::test_what_is_no_number_is_refused_by_the_name_of_each_number
- An odd value is one record's failure:
  tests/test_values.py::test_an_odd_value_is_one_records_failure,
  tests/test_fuzz.py::test_any_records_are_written_or_kept_as_failed,
  tests/red_team/test_one_fault.py::test_a_deep_body_is_an_event_or_refused_and_all_that_reads_it_goes_on
- Claim and sweep are bounded for any mixture of states and keys (benchmarks/inbox_worst.py has the time):
  tests/test_ordering.py::test_events_behind_more_failed_keys_than_are_listed_keep_their_order
- Slow senders, a locked file and too many connections keep nobody waiting:
  tests/test_receiver.py::test_two_hundred_slow_connections_keep_nobody_waiting,
  tests/test_receiver.py::test_what_comes_beyond_the_limit_is_shed_and_health_is_answered,
  tests/test_receiver.py::test_a_locked_file_stops_neither_health_nor_the_answers
- Any bytes at the receiver are a request with a verdict, or none:
  tests/red_team/test_wire.py::test_what_is_no_request_is_told_so_and_stored_nowhere,
  tests/red_team/test_wire.py::test_no_request_within_another_one_is_served
- An answer is whole by its deadline or given up, in whatever part of it a server drips:
  tests/test_http.py::test_an_answer_is_whole_by_its_deadline_or_given_up,
  tests/test_http.py::test_a_proxy_that_drips_is_given_up,
  tests/test_http.py::test_a_handshake_that_drips_is_given_up,
  tests/test_http.py::test_a_token_endpoint_that_drips_is_given_up,
  tests/red_team/test_upstream.py::test_an_answer_that_lies_about_itself_is_a_declared_error
- A clock that was ahead puts off nothing and decides nothing:
  tests/test_clock.py::test_events_received_in_the_future_are_handled_at_once,
  tests/test_clock.py::test_what_is_gone_is_found_gone_after_a_run_in_the_future
- An endpoint's settings are read once as long as they stay what they are:
  tests/test_receiver.py::test_changed_settings_and_secrets_reach_an_endpoint_that_runs
"""
