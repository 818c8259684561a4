"""Endpoints: the settings of an integration that receiving needs, read again only when they change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.credential_headers import header_problems
from integration_hub.connectors.errors import ConnectorError
from integration_hub.connectors.known_secrets import KnownSecrets
from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.secrets import redactor_for
from integration_hub.stores.runtime import HubError, Runtime
from integration_hub.sync.config import Unreadable
from integration_hub.webhooks.bodies import Reading
from integration_hub.webhooks.events import EventRules, Route, load_routes
from integration_hub.webhooks.messages import DEFAULT_MB, MEGABYTE
from integration_hub.webhooks.presets import filled
from integration_hub.webhooks.schemes import Scheme, scheme_for

_SECRETS = ("webhook_secret", "webhook_secret_old")  # while one is rotated, both are good
_MOST_KEPT = 2000


@dataclass(frozen=True)
class Endpoint:
	"""The settings of an integration that takes webhooks."""

	config: IntegrationConfig
	scheme: Scheme
	secrets: list[str] = field(repr=False)
	verify_token: str = field(repr=False)
	routes: list[Route] = field(default_factory=list)
	known: KnownSecrets = field(default_factory=lambda: KnownSecrets(Redactor()), repr=False)

	@cached_property
	def reading(self) -> Reading:
		"""Return how bodies are read."""
		return Reading.of(self.config, self.scheme.forms)

	@cached_property
	def rules(self) -> EventRules:
		"""Return what the settings say of events."""
		return EventRules(self.config, self.routes, scheme=self.scheme, known=self.known)

	@property
	def largest_body(self) -> int:
		"""Return how many bytes a body may have, as it comes and unpacked."""
		return int((self.config.max_body_mb or DEFAULT_MB) * MEGABYTE)


_kept: OrderedDict[tuple[str, str], tuple[str, Endpoint]] = OrderedDict()
_lock = Lock()


def endpoint_of(runtime: Runtime, name: str) -> Endpoint | None:
	"""Return what is known of an integration, None if it takes no webhooks or there is none of this name.

	Raises HubError or ConfigurationError where its settings cannot work.
	"""
	if "\x00" in name:  # Postgres takes no such text, not even to look for it
		return None
	stamp = runtime.settings_stamp(name)
	if not stamp:
		return _load(runtime, name)
	place = (runtime.identity, name)
	with _lock:
		known, found = _kept.get(place, ("", None))
	if known == stamp:
		return found
	loaded = _load(runtime, name)
	# One without a secret is read each time: its sender's handshake may bring it, to another process.
	if loaded and loaded.secrets:
		with _lock:
			_kept[place] = (stamp, loaded)
			while len(_kept) > _MOST_KEPT:
				_kept.popitem(last=False)
	return loaded


def endpoint_at(runtime: Runtime, path: str) -> tuple[str, str, Endpoint | None]:
	"""Return the name, the token and the endpoint that a path leads to: `shop`, or `shop/TOKEN` where that is how it is proven.

	A token is looked up nowhere. Raises as endpoint_of does.
	"""
	name, slash, token = path.partition("/")
	if slash and (found := endpoint_of(runtime, name)) and found.config.signature_in == "URL Path":
		return name, token, found
	return path, "", endpoint_of(runtime, path)


def unready(runtime: Runtime) -> Iterator[str]:
	"""Return what keeps endpoints that are open from taking events, a sentence each."""
	sql = "SELECT `name` FROM `tabIntegration Settings` WHERE `enabled` = 1 AND `webhook_enabled` = 1 ORDER BY `name`"
	for row in runtime.db.query(sql):
		try:
			found = _load(runtime, row["name"])
		except (HubError, ConnectorError, ValueError) as error:
			yield f"{row['name']}: {error}"
			continue
		if found and not found.secrets and found.config.handshake not in ("Secret Header", "Secret Body"):
			yield f"{row['name']}: webhook_secret is empty, every event is rejected"


def _load(runtime: Runtime, name: str) -> Endpoint | None:
	try:
		config = runtime.integration(name)
	except Unreadable:
		raise
	except HubError:
		return None
	if config.name != name:  # MariaDB finds it in any of many other spellings, too
		return None
	if not (config.enabled and config.webhook_enabled):
		return None
	for field_name, sentence in header_problems(filled(config)):
		raise HubError(sentence, doctype="Integration Settings", name=config.name, field=field_name)
	secrets = runtime.secrets(config.name)
	scheme = scheme_for(config, runtime.schemes())
	scheme.allowed_hosts = runtime.allowed_hosts()
	return Endpoint(
		filled(config),
		scheme,
		[value for name in _SECRETS if (value := secrets.get(name))],
		secrets.get("webhook_verify_token") or "",
		load_routes(runtime, config.name),
		KnownSecrets(redactor_for(secrets)),
	)
