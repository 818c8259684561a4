"""Health: how an integration is doing now, for the line on its form."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import frappe

from integration_hub.connectors.app_code import contained
from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.breaker import Breaker
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConnectorError
from integration_hub.integration_hub import worker_checks
from integration_hub.integration_hub.messages import in_language, translated
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores import inbox
from integration_hub.stores.runtime import HubError
from integration_hub.stores.settings import settings_row
from integration_hub.stores.status_facts import integration_of, queue_facts
from integration_hub.stores.statuses import Standing

_LOOK_AT = ("Failed", "Dead")
_TO_DECIDE = ("Unrouted", "Conflict")


@contained
def health(integration: str) -> dict[str, Any]:
	"""Return what is known of an integration without calling it.

	{"breaker": state, "pause": seconds, "shared": bool, "waiting": events, "failed": events, "failing": streams,
	"streams": streams, "budget": {limit, period, left, wait} | None, "token": None | {"expires_at": time,
	"renews": bool}}

	token: None where the integration uses none; its end in the site's time, or None where there is no token yet, or one
	without an end; renews: whether the next call after its end gets another one by itself.
	Where its settings cannot work, {"error": text} stands for what its connector would tell.
	"""
	runtime = FrappeRuntime()
	try:
		with runtime.connector(integration) as connector:
			breaker, pause = connector.breaker.state()
			budget, token = connector.budget(), _token(runtime, connector)
	except (ConnectorError, HubError) as error:
		return {"error": translated(error), **_counts(runtime, integration)}
	return {
		"breaker": breaker,
		"pause": round(pause),
		"shared": runtime.coordination.shared,
		"budget": vars(budget) if budget else None,
		"token": token,
		**_counts(runtime, integration),
	}


def _counts(runtime: FrappeRuntime, integration: str) -> dict[str, Any]:
	counts = inbox.counts(runtime, integration)
	streams = frappe.get_all(
		"Sync Settings", filters={"integration": integration, "enabled": 1}, pluck="status", order_by="name"
	)
	return {
		"waiting": counts.get("Queued", 0) + counts.get("Processing", 0),
		"failed": sum(counts.get(status, 0) for status in _LOOK_AT),
		"streams": len(streams),
		"failing": sum(status in ("Failing", "Needs Approval") for status in streams),
		"look_at": sum(counts.get(status, 0) for status in _TO_DECIDE),
		"standing": _said(integration_of(runtime, integration, paused=integration in paused())),
		"queue": _queue(runtime, integration),
		"warnings": worker_checks.told_to_nobody(),
	}


def _queue(runtime: FrappeRuntime, integration: str) -> dict[str, Any] | None:
	row = settings_row(runtime.db, "Integration Settings", integration)
	facts = queue_facts(runtime, row)
	if not facts:
		return None
	seen = {name: row[f"queue_{name}"] for name in ("read_at", "message_at", "depth")}
	return {**seen, "error": facts.error, "unread": facts.unread}


def _said(standing: Standing) -> dict[str, Any]:
	return {"status": standing.status, "why": [in_language(text) for text in standing.why]}


def standings() -> dict[str, dict[str, Any]]:
	"""Return {integration: {"status", "why": sentences}} of those that the user may read."""
	runtime, names = (
		FrappeRuntime(),
		frappe.get_list("Integration Settings", pluck="name", limit_page_length=0),
	)
	rests = set(paused())
	return {name: _said(integration_of(runtime, name, paused=name in rests)) for name in names}


def paused() -> list[str]:
	"""Return the enabled integrations whose calls are paused after failures."""
	shared = FrappeRuntime().coordination
	fields = ["name", "breaker_threshold", "breaker_seconds"]
	rows = frappe.get_list("Integration Settings", filters={"enabled": 1}, fields=fields, limit_page_length=0)
	breakers = [Breaker(row.name, shared, row.breaker_threshold, row.breaker_seconds) for row in rows]
	return [breaker.name for breaker in breakers if breaker.state()[0] == "Open"]


def _token(runtime: FrappeRuntime, connector: BaseConnector) -> dict[str, Any] | None:
	"""Return when the access token ends, and never the token."""
	config = connector.config
	if config.auth_type == "Connected App":
		return _consent(config)
	if not config.fetches_tokens:
		return None
	seconds = connector.token_expires_at()
	moment = seconds and datetime.fromtimestamp(seconds, timezone.utc)
	return {"expires_at": runtime.local_time(moment) if moment else None, "renews": True}


def _consent(config: IntegrationConfig) -> dict[str, Any]:
	"""Return when the token ends that core keeps for the Connected App's user, and whether it can be refreshed."""
	name = f"{config.connected_app}-{config.connected_user or 'Administrator'}"
	if not frappe.db.exists("Token Cache", name):
		return {"expires_at": None, "renews": False}
	token = frappe.get_doc("Token Cache", name)
	renews = bool(token.get_password("refresh_token", raise_exception=False))
	if not token.expires_in:
		return {"expires_at": None, "renews": renews}
	return {
		"expires_at": str(frappe.utils.add_to_date(token.modified, seconds=token.expires_in)),
		"renews": renews,
	}
