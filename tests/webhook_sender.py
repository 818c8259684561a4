"""A sender of webhooks to a runtime whose integration has some settings: signs, delivers, looks what became of it."""

from __future__ import annotations

import json
from typing import Any

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.schemes import scheme_for

SECRET = "sandbox-webhook-secret"


class Sender:
	"""Delivers bodies to a runtime whose integration has some settings."""

	def __init__(self, make_runtime, *replacements: tuple[str, str], **settings: Any):
		lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
		settled = '\nevent_type_path = "event"\nevent_id_path = "id"\n'
		self.runtime: StandaloneRuntime = make_runtime((settled, "\n" + lines), *replacements)
		self.scheme = scheme_for(self.runtime.integration("crm"))

	def request(self, body, **headers: str) -> Request:
		raw = body if isinstance(body, bytes) else json.dumps(body).encode()
		named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
		return self.scheme.signed(Request("crm", "POST", named, raw, "https://hub.example.com/"), SECRET)

	def send(self, body, **headers: str) -> str:
		return receive(self.runtime, self.request(body, **headers)).reason

	def rows(self) -> list[dict]:
		return self.runtime.db.query("SELECT * FROM `tabWebhook Log` ORDER BY `name`")
