"""Secrets of the standalone runtime: references for what a person gives, Fernet for what the engine keeps."""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken

from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.secrets import kept_secret
from integration_hub.runtime.standalone.hub_toml import HubFile
from integration_hub.runtime.standalone.tokens import TokenFile
from integration_hub.stores.runtime import HubError
from integration_hub.stores.sqlite import SQLiteDatabase

TABLE = "CREATE TABLE IF NOT EXISTS `hub_secret` (`integration` TEXT, `field` TEXT, `value` TEXT, PRIMARY KEY (`integration`, `field`))"

_KEPT = (
	"oauth_token",
	"webhook_secret",
)  # kept here: tokens, and a secret that a sender's handshake has brought


class StandaloneSecrets:
	"""The secrets of one integration."""

	def __init__(self, file: HubFile, db: SQLiteDatabase, integration: str) -> None:
		self._file, self._db, self._integration = file, db, integration
		self._tokens = TokenFile(file.database)

	def get(self, field: str) -> str | None:
		"""Return a secret from the place hub.toml refers to, a token decrypted from its file; None if it is not set."""
		if field not in _KEPT or (field == "webhook_secret" and self._names(field)):
			return kept_secret(self._file.secret(self._integration, field))
		stored = self._tokens.get(self._integration, field) or self._earlier(field)
		try:
			return kept_secret(self._fernet().decrypt(stored.encode()).decode()) if stored else None
		except InvalidToken:
			return None  # the key was changed: a new token is fetched

	def _names(self, field: str) -> bool:
		"""Tell whether hub.toml refers to a secret: then it is never one that a sender has chosen."""
		return bool(self._file.integrations.get(self._integration, {}).get(field))

	def _earlier(self, field: str) -> str | None:
		"""Return what an earlier version kept in the database."""
		sql = "SELECT `value` FROM `hub_secret` WHERE `integration` = %s AND `field` = %s"
		return next((row["value"] for row in self._db.query(sql, [self._integration, field])), None)

	def get_committed(self, field: str) -> str | None:
		"""Return the same as `get`: no transaction holds secrets here."""
		return self.get(field)

	def set(self, field: str, value: str) -> None:
		"""Store a token or a sender's secret, encrypted; "" takes it away."""
		encrypted = self._fernet().encrypt(value.encode()).decode() if value else ""
		self._tokens.set(self._integration, field, encrypted)

	def authorization(self) -> str:
		"""Raise ConfigurationError: Connected Apps exist on Frappe sites only."""
		raise ConfigurationError(
			f"{self._integration}: a Connected App lives on a Frappe site; without one, use OAuth2 Refresh Token.",
			field="auth_type",
		)

	def _fernet(self) -> Fernet:
		place = {"name": f"{self._file.name} [hub]", "field": "encryption_key"}
		reference = self._file.hub.get("encryption_key")
		if not reference:
			raise HubError("is needed to keep tokens", **place)
		try:
			return Fernet(self._file.resolve(reference, "[hub]", "encryption_key"))
		except ValueError:
			raise HubError("is not a Fernet key (32 bytes, url-safe base64)", **place) from None
