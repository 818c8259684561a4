"""Headers that prove who sends: what they hold stays out of ids, types, logs and answers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from integration_hub.connectors.config import IntegrationConfig, header_names
from integration_hub.connectors.header_fields import header_mentions
from integration_hub.connectors.redact import MASK, Redactor
from integration_hub.lazy_messages import _

# Besides what a Redactor masks by name: an HMAC, a signature by its short names, keys and sessions.
_NAME = re.compile(
	r"hmac|jwt|session|csrf|xsrf|(?:access|private|signing|auth|webhook)[-_]?key|bearer|passphrase|\bauth\b|(?:^|[-_])(?:auth|sig|sign|pwd|pass|digest)(?:$|[-_])",
	re.IGNORECASE,
)
# Named like a secret, and a sender's id of an event: https://www.twilio.com/docs/usage/webhooks/webhooks-overview
_IDS = frozenset({"i-twilio-idempotency-token"})
# What the inbox keeps of a request: a signature under such a name would be kept with it.
_KEPT = frozenset({"content-type", "content-length", "user-agent", "date", "host"})
_PLACES = ("event_id_header", "event_type_header", "event_time_header")
_PATHS = ("event_id_path", "event_type_path", "event_time_path", "ordering_key_path")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,100}")  # RFC 9110, 5.6.2
_MOST_KEPT = 20


def proves(header: str, config: IntegrationConfig) -> bool:
	"""Tell whether a header carries a signature or credentials, by its name or because the settings say so."""
	name = header.strip().lower()
	if not name or name in _IDS:
		return False
	return is_credential(name) or any(_is(name, header) for header in header_names(config.signature_header))


def _is(name: str, header: str) -> bool:
	"""Tell whether a header is one that settings name; "*" at the end of that is any ending."""
	return name == header or (header.endswith("*") and name.startswith(header[:-1]))


def is_credential(header: str) -> bool:
	"""Tell whether a header is named like one that carries a signature or credentials."""
	name = header.strip().lower()
	return Redactor().headers({name: ""})[name] == MASK or bool(_NAME.search(name))


def kept_names(config: IntegrationConfig) -> tuple[str, ...]:
	"""Return the headers that a person wants kept with each event, in lower case: one a line, or with commas between."""
	return header_names(config.headers_to_keep.replace("\n", ","))


def header_problems(config: IntegrationConfig) -> Iterator[tuple[str, str]]:
	"""Give what is wrong with the headers that settings name, as (field, sentence)."""
	named = [(field, getattr(config, field)) for field in _PLACES]
	named += [(field, header) for field in _PATHS for header in header_mentions(getattr(config, field))]
	for field, header in named:
		if proves(header, config):
			sentence = _(
				"{0} contains a signature or credentials, and would be stored and shown with the event",
				header,
			)
			yield field, sentence
	names = kept_names(config)
	for name in names:
		if not HEADER_NAME.fullmatch(name):
			yield "headers_to_keep", _("{0!r} is not the name of a header", name)
		elif proves(name, config):
			yield "headers_to_keep", _("{0} contains a signature or credentials, which no event stores", name)
	if len(names) > _MOST_KEPT:
		yield "headers_to_keep", _("lists more than {0} headers", _MOST_KEPT)
	if _KEPT.intersection(header_names(config.signature_header)):
		yield (
			"signature_header",
			_("{0} is stored with each event, so it must not contain the signature", config.signature_header),
		)
