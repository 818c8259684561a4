"""The choice of the connector class that serves an integration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from integration_hub.connectors.app_code import attempt, contained, error_text
from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import Coordination
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.frappe_site import FrappeConnector, OAuth2FrappeConnector
from integration_hub.connectors.oauth2 import OAuth2Connector
from integration_hub.connectors.rest import OAuth2RestConnector, RestConnector
from integration_hub.connectors.secrets import Secrets
from integration_hub.connectors.setting_ranges import range_problems
from integration_hub.connectors.singer import SingerConnector

# Name → (class, class behind OAuth2).
BUILT_IN: dict[str, tuple[type[BaseConnector], type[BaseConnector]]] = {
	"REST": (RestConnector, OAuth2RestConnector),
	"Frappe": (FrappeConnector, OAuth2FrappeConnector),
	"Singer": (SingerConnector, SingerConnector),
}


def connector_for(
	config: IntegrationConfig,
	secrets: Secrets,
	coordination: Coordination,
	registered: Mapping[str, str],
	allowed_hosts: Iterable[str] = (),
	taps: Mapping[str, Any] | None = None,
	folder: str = "",
) -> BaseConnector:
	"""Make the connector an integration names.

	registered: connector name → dotted path of its class, from other apps.
	allowed_hosts: hosts that may be of a private network; see connectors.ssrf_guard.
	taps: the registered Singer taps; folder: where their files are.
	Raises ConfigurationError for an unknown name, a path that leads to no connector class, or numbers out of range,
	which may have been saved before they were checked.
	"""
	for field, sentence in range_problems(config):
		raise ConfigurationError(f"{config.name}: {field} {sentence}.", field=field)
	if config.connector in BUILT_IN:
		plain, oauth2 = BUILT_IN[config.connector]
		cls: type[BaseConnector] = oauth2 if config.fetches_tokens else plain
	elif config.connector in registered:
		cls = resolve(registered[config.connector])
		if config.fetches_tokens and isinstance(cls, type) and not issubclass(cls, OAuth2Connector):
			cls = type(f"OAuth2{cls.__name__}", (OAuth2Connector, cls), {})
	else:
		known = ", ".join([*BUILT_IN, *registered])
		raise ConfigurationError(
			f"{config.name}: connector {config.connector!r} is not one of {known}.", field="connector"
		)
	if not (isinstance(cls, type) and issubclass(cls, BaseConnector)):
		raise ConfigurationError(f"{config.name}: {cls!r} is not a BaseConnector.", field="connector")
	made = contained(lambda: cls(config, secrets, coordination, allowed_hosts=allowed_hosts))
	found = made()
	if isinstance(found, SingerConnector):
		found.taps, found.folder = taps or {}, folder
	return found


def resolve(path: str) -> Any:
	"""Import `package.module.attribute`. Raises ConfigurationError where it leads nowhere."""
	module, _, attribute = path.rpartition(".")
	with attempt() as found:
		return getattr(contained(import_module)(module), attribute)
	error = found.error
	if isinstance(error, ImportError | AttributeError | ValueError):
		raise ConfigurationError(f"{path}: {error}") from error
	raise ConfigurationError(f"{path}: {type(error).__name__}: {error_text(error)}") from error
