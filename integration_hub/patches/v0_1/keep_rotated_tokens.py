"""Write to each stored token that it belongs to the client secret, too: without that, none of them is used again.

For a refresh token that was rotated that is the end: the one in the settings has been used.
"""

import hashlib
import json
from dataclasses import replace

import frappe

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.oauth2 import Token, seed_of
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.secrets import FrappeSecrets
from integration_hub.stores.runtime import HubError


def execute() -> None:
	"""Let stored tokens belong to the same credentials as before."""
	runtime = FrappeRuntime()
	for name in frappe.get_all(
		"Integration Settings", filters={"auth_type": "OAuth2 Refresh Token"}, pluck="name"
	):
		try:
			_keep(runtime.integration(name), runtime.secrets(name))
		except HubError as error:  # its secrets cannot be read: then its token cannot, either
			print(error)


def _keep(config: IntegrationConfig, secrets: FrappeSecrets) -> None:
	token = Token.loads(secrets.get("oauth_token"))
	if token and token.seed == _first_seed(config, secrets):
		secrets.set("oauth_token", replace(token, seed=seed_of(config, secrets)).dumps())


def _first_seed(config: IntegrationConfig, secrets: FrappeSecrets) -> str:
	parts = [
		config.auth_type,
		config.token_url,
		config.client_id,
		config.scope,
		secrets.get("refresh_token"),
	]
	return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
