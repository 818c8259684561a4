"""The Password fields of Integration Settings."""

from __future__ import annotations

from threading import Thread

import frappe
from frappe.utils.password import get_decrypted_password, set_encrypted_password

from integration_hub.connectors.errors import AuthenticationFailed, ConfigurationError
from integration_hub.stores.home import HubError

DOCTYPE = "Integration Settings"


class SiteSecrets:
	"""The secrets of one integration."""

	def __init__(self, integration: str):
		self._integration = integration

	def get(self, field: str) -> str | None:
		try:
			return get_decrypted_password(DOCTYPE, self._integration, field, raise_exception=False) or None
		except frappe.ValidationError:
			frappe.clear_last_message()
			if field == "oauth_token":
				return None  # the site's key was changed: a new token is fetched
			raise HubError(
				"cannot be decrypted: the site's encryption_key is not the one it was saved with",
				doctype=DOCTYPE,
				name=self._integration,
				field=field,
			) from None

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

		On a SQLite site, where a second writer would wait for the first, it joins the caller's transaction.
		"""
		if frappe.db.db_type == "sqlite":
			set_encrypted_password(DOCTYPE, self._integration, value, field)
			return
		failure: list[BaseException] = []
		thread = Thread(
			target=self._set, args=(frappe.local.site, frappe.local.sites_path, field, value, failure)
		)
		thread.start()
		thread.join()
		if failure:
			raise failure[0]

	def _set(self, site: str, sites_path: str, field: str, value: str, failure: list[BaseException]) -> None:
		try:
			frappe.init(site=site, sites_path=sites_path)
			frappe.connect()
			set_encrypted_password(DOCTYPE, self._integration, value, field)
			frappe.db.commit()
		except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
			failure.append(error)
		finally:
			frappe.destroy()
