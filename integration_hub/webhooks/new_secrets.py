"""A webhook secret that the sender chooses, and sends once by a handshake: taken only while a person expects it."""

from __future__ import annotations

import re

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.lazy_messages import _
from integration_hub.stores.database import in_transaction, update
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.webhooks.endpoint import Endpoint
from integration_hub.webhooks.messages import Response
from integration_hub.webhooks.presets import filled
from integration_hub.webhooks.schemes.base import BadSignature, require

SECRET_HANDSHAKES = ("Secret Header", "Secret Body")
MINUTES = 15  # for which a new secret is taken, unless said
_DOCTYPE = "Integration Settings"
_SECRET = re.compile(r"[\x21-\x7e]{16,500}")


def takes_secret(config: IntegrationConfig) -> bool:
	"""Tell whether the sender of an integration chooses the secret, and sends it by a handshake."""
	return filled(config).handshake in SECRET_HANDSHAKES


def expect_secret(runtime: Runtime, integration: str, minutes: int = MINUTES) -> str:
	"""Take a new secret for so many minutes; return until when. Commits.

	Raises HubError where one is set already: nobody replaces a secret that events are proven by.
	"""
	place = {"doctype": _DOCTYPE, "name": integration, "field": "webhook_secret"}
	if runtime.secrets(integration).get("webhook_secret"):
		raise HubError(_("is set already. Clear it first if the sender is to choose a new one."), **place)
	until = runtime.now(ahead=minutes * 60)
	in_transaction(runtime.db, lambda: update(runtime.db, _DOCTYPE, integration, {"handshake_until": until}))
	return until


def new_secret(runtime: Runtime, found: Endpoint, value: str) -> Response:
	"""Store the secret that a sender has chosen, and confirm it; raises BadSignature where none is expected.

	One that is known already is confirmed again: the sender may not have read the first answer.
	"""
	if not _SECRET.fullmatch(value):
		raise BadSignature("secret_malformed")
	if found.secrets:
		require([value], found.secrets)
	else:
		_take(runtime, found.config.name, value)
	return _confirmed(found, value)


def _confirmed(found: Endpoint, value: str) -> Response:
	headers = ((found.config.handshake_value, value),) if found.config.handshake == "Secret Header" else ()
	return Response(200, "challenge", headers=headers)


def _take(runtime: Runtime, integration: str, value: str) -> None:
	"""Store the secret, if one is expected. Of two askers, one closes the time in which it is."""
	sql = (
		"UPDATE `tabIntegration Settings` SET `handshake_until` = NULL"
		" WHERE `name` = %s AND `handshake_until` > %s"
	)
	if not in_transaction(runtime.db, lambda: runtime.db.execute(sql, [integration, runtime.now()])):
		raise BadSignature("secret_not_expected")
	runtime.secrets(integration).set("webhook_secret", value)
