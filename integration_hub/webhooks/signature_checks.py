"""Checks of the settings that say what is signed, where the signature stands, and by which key it is verified."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from integration_hub.connectors.bounded_jmespath import path_problem
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.lazy_messages import _
from integration_hub.webhooks.presets import presets
from integration_hub.webhooks.schemes.certificates import hosts_of, is_host_pattern
from integration_hub.webhooks.schemes.freshness import UNITS
from integration_hub.webhooks.schemes.keys import ENCODINGS, SECRET_ENCODINGS
from integration_hub.webhooks.schemes.signature_places import PLACES, SEPARATORS
from integration_hub.webhooks.schemes.signed_content import mentions, parts_of

Problem = tuple[str, str]
_CHOICES = {
	"signature_in": PLACES,
	"signature_separator": tuple(SEPARATORS),
	"secret_encoding": SECRET_ENCODINGS,
	"timestamp_unit": UNITS,
}


def signature_problems(config: IntegrationConfig) -> Iterator[Problem]:
	"""Give what is wrong, as (field, sentence); the schemes themselves say what is wrong with algorithm and content."""
	preset = presets().get(config.webhook_scheme)
	base = preset.scheme if preset else ""
	for field, known in _CHOICES.items():
		if getattr(config, field) not in known:
			yield field, _("{0!r} is not one of {1}", getattr(config, field), ", ".join(filter(None, known)))
	if base in ("HMAC", "Public Key", "Token"):
		yield from _place_problems(config)
	if base in ("HMAC", "Public Key"):
		yield from _signing_problems(config)
	if base == "Public Key":
		yield from _certificate_problems(config)


def _place_problems(config: IntegrationConfig) -> Iterator[Problem]:
	where = config.signature_in
	if not config.signature_header.strip() and where != "URL Path":
		yield "signature_header", _("is needed for {0}", config.webhook_scheme)
	if where == "Body" and (problem := path_problem(config.signature_header)):
		yield "signature_header", problem
	preset = presets().get(config.webhook_scheme)
	if where == "URL Path" and not (preset and preset.scheme == "Token"):
		yield "signature_in", _("{0} is possible for {1} only", where, "Token")


def _signing_problems(config: IntegrationConfig) -> Iterator[Problem]:
	if config.signature_encoding not in ENCODINGS:
		yield "signature_encoding", _("{0!r} is neither hex nor base64", config.signature_encoding)
	yield from _template_problems("timestamp_header", config.timestamp_header)
	timed = mentions(config.signed_content, "timestamp") if _readable(config.signed_content) else True
	if timed and not (config.timestamp_header or config.timestamp_prefix):
		yield "timestamp_header", _("is needed, because {0} is signed", "{timestamp}")
	if not timed and (config.timestamp_header or config.timestamp_prefix):
		yield "signed_content", _("{0!r} does not contain {1}", config.signed_content, "{timestamp}")


def _certificate_problems(config: IntegrationConfig) -> Iterator[Problem]:
	if not config.certificate_url:
		return
	yield from _template_problems("certificate_url", config.certificate_url)
	hosts = hosts_of(config.certificate_hosts)
	if not hosts:
		yield "certificate_hosts", _("is needed: the sender must not choose where its certificate comes from")
	for host in hosts:
		if not is_host_pattern(host):
			yield "certificate_hosts", _("{0!r} is not the name of a host", host)
	if "{" not in config.certificate_url and urlsplit(config.certificate_url).scheme != "https":
		yield "certificate_url", _("must start with https://")
	if _readable(config.signed_content) and not mentions(config.signed_content, "secret"):
		sentence = _("must contain {0}, because the certificate proves others of this sender too", "{secret}")
		yield "signed_content", sentence


def _readable(template: str) -> bool:
	try:
		parts_of(template)
	except ValueError:
		return False
	return True


def _template_problems(field: str, template: str) -> Iterator[Problem]:
	try:
		parts_of(template)
	except ValueError as error:
		yield field, error.args[0]
