import re
from functools import partial

import frappe
from frappe import _
from frappe.model.document import Document

from integration_hub.connectors import BaseConnector
from integration_hub.connectors.config import IntegrationConfig, integration_problems
from integration_hub.connectors.credential_checks import credential_problems
from integration_hub.connectors.credential_headers import header_problems
from integration_hub.connectors.registry import BUILT_IN
from integration_hub.connectors.secrets import SECRET_FIELDS
from integration_hub.integration_hub import run_as, secret_reentry
from integration_hub.integration_hub.call_log import log_call
from integration_hub.integration_hub.settings import keep_rows, keep_state, refuse
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.server_scripts import script_problem
from integration_hub.stores.settings import STATE
from integration_hub.webhooks.presets import filled
from integration_hub.webhooks.schemes import record_path_of
from integration_hub.webhooks.settings_checks import Registered, endpoint_problems

REGISTERED = ("connector", "webhook_scheme")  # other apps register more of them
MASK = "*****"  # what stands in a document for a secret
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class IntegrationSettings(Document):
	"""One external system."""

	def validate(self) -> None:
		"""Refuse settings that the engine could not work with, naming the field; keep what no form may change."""
		keep_state(self, STATE)
		keep_rows(self, "routes")
		keep_rows(self, "answer_rules")
		self.place_records()
		if not _NAME.fullmatch(self.integration_name or ""):
			refuse(
				self, "integration_name", "may have letters, digits, dash and underscore: it is part of a URL"
			)
		try:
			config = IntegrationConfig.from_row({**self.as_dict(), "name": self.integration_name})
		except ValueError as error:
			refuse(self, "", str(error))
		secrets = {field: self.get(field) for field in SECRET_FIELDS}
		secrets["queue_url"] = secrets["queue_url"] or FrappeRuntime().external_redis_url()
		for field, sentence in (
			*integration_problems(filled(config), secrets),
			*credential_problems(config, secrets),
		):
			refuse(self, field, sentence)
		for field, sentence in header_problems(filled(config)):
			refuse(self, field, sentence)
		self.check_registered(config)
		run_as.check_integration(self)
		secret_reentry.check_secrets(self)

	def _validate_selects(self) -> None:
		"""Leave the fields that other apps add names to: check_registered knows those."""
		given = {field: self.get(field) for field in REGISTERED}
		self.update(dict.fromkeys(REGISTERED))
		try:
			super()._validate_selects()
		finally:
			self.update(given)

	def place_records(self) -> None:
		"""Give new routes that name no Record Path the one of the scheme's senders."""
		for row in self.routes:
			if row.is_new() and row.record_path is None:
				row.record_path = record_path_of(self.webhook_scheme or "", FrappeRuntime().schemes())

	def check_registered(self, config: IntegrationConfig) -> None:
		"""Refuse names that no app has registered."""
		runtime = FrappeRuntime()
		if config.connector not in BUILT_IN and config.connector not in runtime.connectors():
			refuse(self, "connector", f"{config.connector!r} is not registered by an app")
		known = Registered(runtime.schemes(), runtime.handlers(), self._has_stream, self._script_problem)
		for field, sentence in endpoint_problems(config, [row.as_dict() for row in self.routes], known):
			refuse(self, field, sentence)

	@staticmethod
	def _has_stream(name: str) -> bool:
		return True  # Frappe checks links

	@staticmethod
	def _script_problem(name: str) -> str:
		problem = script_problem(name)
		return f"Server Script {name!r} {problem}" if problem else ""

	def before_rename(self, old: str, new: str, merge: bool = False) -> None:
		"""Refuse to rename the integration if the user may not act as its Run As user."""
		run_as.check_removal(self, old)

	def _save_passwords(self) -> None:
		"""Keep a mask of one length for each secret: Frappe's own is as long as what it stands for."""
		super()._save_passwords()
		for field in SECRET_FIELDS:
			if self.get(field):
				self.set(field, MASK)

	def on_trash(self) -> None:
		"""Refuse to delete an integration that still has streams or unhandled events; raises LinkExistsError."""
		run_as.check_removal(self, self.name)
		stream = frappe.db.get_value("Sync Settings", {"integration": self.name})
		if stream:
			frappe.throw(
				_("Delete its streams first, for example {0}.").format(stream), frappe.LinkExistsError
			)
		waiting = ("Queued", "Processing", "Failed")
		if frappe.db.exists("Webhook Log", {"integration": self.name, "status": ["in", waiting]}):
			frappe.throw(
				_("It has events that are not handled yet. Wait for them, or delete them first."),
				frappe.LinkExistsError,
			)

	def get_connector(self) -> BaseConnector:
		"""Return a connector to this system; close it, or use it in a `with` block.

		What its calls fail with is raised, and logged by integration like any other failure.
		"""
		connector = FrappeRuntime().connector(self.name)
		connector.failed = partial(log_call, self.name)
		return connector
