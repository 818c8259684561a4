"""Signature schemes, by name: built in, or registered by other apps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.connectors.registry import resolve
from integration_hub.webhooks.schemes.base import BadSignature, CannotSign, Places, Scheme
from integration_hub.webhooks.schemes.hmac_schemes import (
	FrappeScheme,
	GitHubScheme,
	HMACScheme,
	ShopifyScheme,
	WooCommerceScheme,
)
from integration_hub.webhooks.schemes.meta_and_x import MetaScheme, XScheme
from integration_hub.webhooks.schemes.shared_secret import BasicScheme, TokenScheme
from integration_hub.webhooks.schemes.slack import SlackScheme
from integration_hub.webhooks.schemes.standard_webhooks import StandardScheme
from integration_hub.webhooks.schemes.stripe import StripeScheme
from integration_hub.webhooks.schemes.twilio import TwilioScheme

__all__ = [
	"SCHEMES",
	"BadSignature",
	"CannotSign",
	"HMACScheme",
	"Places",
	"Scheme",
	"record_path_of",
	"scheme_for",
]

SCHEMES: dict[str, Callable[[IntegrationConfig], Scheme]] = {
	"HMAC": HMACScheme,
	"Token": TokenScheme,
	"Basic": BasicScheme,
	"Standard Webhooks": StandardScheme,
	"Frappe": FrappeScheme,
	"GitHub": GitHubScheme,
	"Meta": MetaScheme,
	"Shopify": ShopifyScheme,
	"Slack": SlackScheme,
	"Stripe": StripeScheme,
	"Twilio": TwilioScheme,
	"WooCommerce": WooCommerceScheme,
	"X": XScheme,
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
	scheme: Any = SCHEMES.get(name)
	if not scheme and registered and name in registered:
		with suppress(ConfigurationError):  # it is said where the scheme is used
			scheme = resolve(registered[name])
	places = getattr(scheme, "places", None)
	return places.record_path if isinstance(places, Places) else Places.record_path


def scheme_for(config: IntegrationConfig, registered: Mapping[str, str] | None = None) -> Scheme:
	"""Return the scheme an integration names; raises ConfigurationError if it is unknown."""
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
