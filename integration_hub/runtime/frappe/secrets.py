"""The Password fields of Integration Settings."""

from __future__ import annotations

import frappe
from frappe.utils.password import get_decrypted_password, set_encrypted_password

from integration_hub.connectors.errors import AuthenticationFailed, ConfigurationError
from integration_hub.connectors.secrets import kept_secret
from integration_hub.runtime.frappe.autonomous import autonomous_transaction
from integration_hub.runtime.frappe.database import FrappeDatabase
from integration_hub.stores.database import in_transaction
from integration_hub.stores.runtime import HubError

DOCTYPE = "Integration Settings"
_MASK = "*****"  # as Integration Settings shows a secret


class FrappeSecrets:
	"""The secrets of one integration."""

	def __init__(self, integration: str) -> None:
		self._integration = integration

	def get(self, field: str) -> str | None:
		"""Return a decrypted secret, None if it is not set; raises HubError if it cannot be decrypted."""
		try:
			value = get_decrypted_password(DOCTYPE, self._integration, field, raise_exception=False)
			if not value and self._is_kept(field):
				raise frappe.ValidationError  # v16 keeps quiet about what it cannot decrypt
			return kept_secret(value)
		except frappe.ValidationError:
			if frappe.message_log:
				frappe.clear_last_message()
			if field == "oauth_token":
				return None  # the site's key was changed: a new token is fetched
			raise HubError(
				"cannot be decrypted: the site's encryption_key is not the one it was saved with",
				doctype=DOCTYPE,
				name=self._integration,
				field=field,
			) from None

	def _is_kept(self, field: str) -> bool:
		sql = """SELECT 1 FROM `__Auth` WHERE `doctype` = %s AND `name` = %s AND `fieldname` = %s
			AND `encrypted` = 1 AND COALESCE(`password`, '') <> ''"""
		return bool(frappe.db.sql(sql, (DOCTYPE, self._integration, field)))

	def authorization(self) -> str:
		"""Return the header of the linked Connected App: core keeps consent and tokens, and refreshes them."""
		names = ("connected_app", "connected_user")
		app, user = frappe.db.get_value(DOCTYPE, self._integration, names)
		place = f"{self._integration}: Connected App {app}"
		if not (app and frappe.db.exists("Connected App", app)):
			raise ConfigurationError(f"{place} does not exist.", field="connected_app")
		token = frappe.get_doc("Connected App", app).get_active_token(user or "Administrator")
		if not token or not token.get_password("access_token", False):
			raise AuthenticationFailed(
				f"{place} has no valid token of {user or 'Administrator'}: connect it once."
			)
		return token.get_auth_header()["Authorization"]

	def set(self, field: str, value: str) -> None:
		"""Store and commit on a connection of its own: the caller may be in the middle of a transaction.

		On a SQLite site a second writer would wait for the first for ever: there it joins a transaction
		that has written already; one that has only read is ended, for SQLite refuses to write from what others have
		outdated meanwhile.
		"""
		if frappe.db.db_type != "sqlite":
			autonomous_transaction(lambda: self._store(field, value))
		elif frappe.db.transaction_writes:
			self._write(field, value)
		else:
			in_transaction(FrappeDatabase(), lambda: self._write(field, value))

	def _store(self, field: str, value: str) -> None:
		self._write(field, value)
		frappe.db.commit()

	def _write(self, field: str, value: str) -> None:
		set_encrypted_password(DOCTYPE, self._integration, value, field)
		if field != "oauth_token":
			# A save takes away a secret whose field is empty: the form shows that there is one, and one that was
			# opened before has to be opened again.
			frappe.db.set_value(DOCTYPE, self._integration, field, _MASK if value else "")

	def get_committed(self, field: str) -> str | None:
		"""Return a secret as it is committed, read outside the current transaction."""
		return autonomous_transaction(lambda: self.get(field))
