"""Whitelisted methods, grouped by what the person is looking at. Thin: permission on the document, then the engine.

Each is called as `integration_hub.api.NAME`, wherever it stands: Desk, senders and hooks know these paths.
"""

from integration_hub.api.charts import events_a_day, log_days, records_a_day
from integration_hub.api.deletions import (
	approve_deletions,
	ask_about_kept,
	held_deletions,
	held_documents,
	keep_deletions,
)
from integration_hub.api.deliveries import (
	approve_deliveries,
	plan_sending,
	preview_delivery,
	replay_deliveries,
	send_what_is_there,
)
from integration_hub.api.events import handle_conflict, preview_replay, replay_events, replay_since
from integration_hub.api.failures import (
	count_to_retry,
	reopen_failures,
	resolve_failures,
	retry_failures,
	retry_matching,
	retry_record,
	retry_records,
)
from integration_hub.api.imports import describe_import, make_import
from integration_hub.api.integrations import (
	choices,
	delete_integration,
	health,
	integration_states,
	removal_plan,
	start_sandbox,
	test_connection,
)
from integration_hub.api.streams import (
	backfill,
	backfill_again,
	dry_run,
	enable_streams,
	look_at_source,
	preview,
	reset_checkpoint,
	run_again,
	run_streams,
	running_streams,
	stream_state,
	sync_now,
)
from integration_hub.api.webhooks import (
	accept_new_secret,
	finish_webhook_request,
	prepare_webhook_request,
	rotate_webhook_secret,
	send_test_webhook,
	senders,
	webhook,
)

__all__ = [
	"accept_new_secret",
	"approve_deletions",
	"approve_deliveries",
	"ask_about_kept",
	"backfill",
	"backfill_again",
	"choices",
	"count_to_retry",
	"delete_integration",
	"describe_import",
	"dry_run",
	"enable_streams",
	"events_a_day",
	"finish_webhook_request",
	"handle_conflict",
	"health",
	"held_deletions",
	"held_documents",
	"integration_states",
	"keep_deletions",
	"log_days",
	"look_at_source",
	"make_import",
	"plan_sending",
	"prepare_webhook_request",
	"preview",
	"preview_delivery",
	"preview_replay",
	"records_a_day",
	"removal_plan",
	"reopen_failures",
	"replay_deliveries",
	"replay_events",
	"replay_since",
	"reset_checkpoint",
	"resolve_failures",
	"retry_failures",
	"retry_matching",
	"retry_record",
	"retry_records",
	"rotate_webhook_secret",
	"run_again",
	"run_streams",
	"running_streams",
	"send_test_webhook",
	"send_what_is_there",
	"senders",
	"start_sandbox",
	"stream_state",
	"sync_now",
	"test_connection",
	"webhook",
]
