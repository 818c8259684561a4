"""Signature schemes, by name: built in, or registered by other apps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.registry import resolve
from integration_hub.webhooks.places import Places
from integration_hub.webhooks.presets import Preset, filled, presets
from integration_hub.webhooks.schemes.amazon_sns import SNSScheme
from integration_hub.webhooks.schemes.base import BadSignature, CannotSign, CannotVerify, Scheme
from integration_hub.webhooks.schemes.hmac_schemes import GitHubScheme, ShopifyScheme, WooCommerceScheme
from integration_hub.webhooks.schemes.meta_and_x import MetaScheme, XScheme
from integration_hub.webhooks.schemes.shared_secret import BasicScheme, TokenScheme
from integration_hub.webhooks.schemes.signed_requests import HMACScheme, PublicKeyScheme
from integration_hub.webhooks.schemes.standard_webhooks import StandardScheme
from integration_hub.webhooks.schemes.twilio import TwilioScheme

__all__ = [
	"BASES",
	"SCHEMES",
	"BadSignature",
	"CannotSign",
	"CannotVerify",
	"HMACScheme",
	"Places",
	"Scheme",
	"record_path_of",
	"scheme_for",
]

# The implementations that presets name as their `scheme`.
BASES: dict[str, Callable[[IntegrationConfig], Scheme]] = {
	"HMAC": HMACScheme,
	"Public Key": PublicKeyScheme,
	"Token": TokenScheme,
	"Basic": BasicScheme,
	"Amazon SNS": SNSScheme,
	"Standard Webhooks": StandardScheme,
	"GitHub": GitHubScheme,
	"Meta": MetaScheme,
	"Shopify": ShopifyScheme,
	"Twilio": TwilioScheme,
	"WooCommerce": WooCommerceScheme,
	"X": XScheme,
}


def signs_what_it_is_asked(config: IntegrationConfig) -> bool:
	"""Tell whether a handshake signs a value of anybody's: forms have to be refused then, because `a=` is one."""
	return config.handshake == "Query" and "{hmac}" in config.handshake_answer


def _scheme_of(preset: Preset, config: IntegrationConfig) -> Scheme:
	scheme = BASES[preset.scheme](filled(config))
	scheme.places = preset.places
	scheme.forms = preset.forms
	scheme.same_id = preset.settings.get("same_id_other_body") or scheme.same_id
	return scheme


SCHEMES: dict[str, Callable[[IntegrationConfig], Scheme]] = {
	name: partial(_scheme_of, preset) for name, preset in presets().items()
}


class _Registered(Scheme):
	"""A scheme of another app that has `verify`, and perhaps others, and derives from nothing."""

	def __init__(self, config: IntegrationConfig, scheme: Any) -> None:
		super().__init__(config)
		self.verify = scheme.verify
		for name in ("signed", "places", "signed_headers", "same_id", "misfit"):
			setattr(self, name, getattr(scheme, name, getattr(self, name)))


def record_path_of(name: str, registered: Mapping[str, str] | None = None) -> str:
	"""Return where the senders of a scheme put the record of an event: the Record Path of a new route."""
	if preset := presets().get(name):
		return preset.record_path
	scheme: Any = None
	if registered and name in registered:
		with suppress(ConfigurationError):  # it is said where the scheme is used
			scheme = resolve(registered[name])
	places = getattr(scheme, "places", None)
	return places.record_path if isinstance(places, Places) else Places.record_path


def scheme_for(config: IntegrationConfig, registered: Mapping[str, str] | None = None) -> Scheme:
	"""Return the scheme an integration names; raises ConfigurationError if it is unknown."""
	scheme = _named(config, registered)
	if signs_what_it_is_asked(filled(config)):
		scheme.signs_challenges, scheme.forms = True, False
	return scheme


def _named(config: IntegrationConfig, registered: Mapping[str, str] | None) -> Scheme:
	name = config.webhook_scheme
	if name in SCHEMES:
		return SCHEMES[name](config)
	if registered and name in registered:
		scheme = resolve(registered[name])(config)
		return scheme if isinstance(scheme, Scheme) else _Registered(config, scheme)
	known = ", ".join([*SCHEMES, *(registered or {})])
	raise ConfigurationError(
		f"{config.name}: webhook_scheme {name!r} is not one of {known}.", field="webhook_scheme"
	)
