"""Trying an integration's connection for a person: what failed, where, and what to do about it."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

from frappe import _

from integration_hub.connectors import errors
from integration_hub.connectors.app_code import contained
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.ssrf_guard import REFUSED
from integration_hub.integration_hub.messages import translated
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores.database import in_transaction
from integration_hub.stores.error_log import resolve_errors
from integration_hub.stores.runtime import HubError
from integration_hub.stores.settings import note_failure, note_success

OPERATION = "Test Connection"


@contained
def try_connection(integration: str) -> dict[str, Any]:
	"""Call the external system once, and note how it ended.

	{"ok": True, "message", "seconds"} or {"ok": False, "message", "what", "detail", "request", "status", "body", "hint"};
	request: method and URL of what failed, "" if nothing was sent. All of it is redacted.

	Behind a pause that was asked for, or a budget that is used up, nobody waits: then "paused" says for how many
	seconds, and nothing is noted, for it says nothing of the connection.
	"""
	runtime = FrappeRuntime()
	started = time.monotonic()
	try:
		with runtime.connector(integration) as connector:
			connector.reset()
			connector.hurry()
			connector.retry = replace(connector.retry, attempts=1)  # a person waits, and so does a web worker
			connector.get(connector.config.test_path or "")
			address = connector.url(connector.config.test_path or "")
	except errors.RetryLater as error:
		return {"ok": False, "message": translated(error), "paused": math.ceil(error.seconds)}
	except (errors.ConnectorError, HubError) as error:
		message = str(error)
		in_transaction(runtime.db, lambda: note_failure(runtime, integration, message))
		runtime.log_error(error, integration=integration, operation=OPERATION)
		return {"ok": False, "message": translated(error), **_told(error, runtime.integration(integration))}

	def answered() -> None:
		note_success(runtime, integration)
		resolve_errors(runtime, integration=integration, operation=OPERATION)

	in_transaction(runtime.db, answered)
	seconds = round(time.monotonic() - started, 2)
	return {"ok": True, "message": _("{0} answered.").format(address), "seconds": seconds}


def _told(error: Exception, config: IntegrationConfig) -> dict[str, Any]:
	if not isinstance(error, errors.ConnectorError):
		return {"what": str(error), "hint": ""}
	return {
		"what": _(error.sentence),
		"detail": error.detail,
		"request": f"{error.method} {error.url}".strip(),
		"status": error.status,
		"body": error.body,
		"hint": hint(error, config),
	}


def hint(error: errors.ConnectorError, config: IntegrationConfig) -> str:
	"""Return what a person may do about a failed call, "" where nothing better than the error is known."""
	if REFUSED in error.detail:
		return _(
			"To allow it, add the host, with its port, to integration_hub_allowed_hosts of site_config.json."
		)
	if "CERTIFICATE_VERIFY_FAILED" in error.detail:
		return _("Its certificate is not trusted here. Is the host name right? Has the certificate expired?")
	if isinstance(error, errors.AuthenticationFailed):
		return _authentication_hint(error, config)
	return next((text for kind, text in _hints(config) if isinstance(error, kind)), "")


def _authentication_hint(error: errors.ConnectorError, config: IntegrationConfig) -> str:
	if config.auth_type == "Connected App":
		return _("Open the Connected App {0} and connect it once.").format(config.connected_app)
	if not config.fetches_tokens:
		return _("Check the fields under Authentication: {0}.").format(_(config.auth_type))
	if config.auth_type == "Session Token":
		return _("Check the fields under Login, and where Token Path looks for the token.")
	if config.token_url and error.url.startswith(config.token_url):
		return _(
			"The token endpoint refused the client: check Token URL, Client ID, Client Secret and Scope."
		)
	return _(
		"A token was issued, but the system refuses it: check Scope, and whether the Base URL is its API."
	)


def _hints(config: IntegrationConfig) -> list[tuple[type[errors.ConnectorError], str]]:
	"""Return what to do by kind of error; the first that fits counts."""
	return [
		(errors.ConfigurationError, _("Correct the settings named above, save, and test again.")),
		(
			errors.AccessDenied,
			_("The credentials are valid, but lack the permission: ask for it, or set another Test Path."),
		),
		(errors.NotFound, _("The host answers, but has no such path: check Base URL and Test Path.")),
		(errors.Gone, _("The host answers, but no longer has this path: check Base URL and Test Path.")),
		(
			errors.RateLimited,
			_("Wait, and lower Requests under Rate Budget to avoid this."),
		),
		(errors.ServerError, _("The fault is in the external system. Try again later, or ask its operator.")),
		(
			errors.ConnectionFailed,
			_("Nothing was sent: check host name, port, proxy and firewall, and that the system is up."),
		),
		(
			errors.ConnectionBroken,
			_("The connection broke: try again. If it happens again, check the proxies in between."),
		),
		(
			errors.RequestTimeout,
			_("No answer within {0} s: raise Read Timeout, or set a Test Path that answers faster.").format(
				f"{config.read_timeout:g}"
			),
		),
		(errors.TooLarge, _("Set a Test Path with a small response, or raise Largest Response.")),
		(
			errors.MalformedAnswer,
			_(
				"It answered, but not with JSON: check that the Base URL is that of the API, not of a web page."
			),
		),
		(errors.UnexpectedStatus, _("Check the Base URL: scheme (https), host, and path of the API.")),
	]
