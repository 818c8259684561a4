"""The settings of one external system, as the engine reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from integration_hub.connectors.answer_rules import AnswerRule, rule_problems
from integration_hub.connectors.composed_paths import composed_path_problem
from integration_hub.connectors.setting_ranges import range_problems
from integration_hub.lazy_messages import _

AUTH_TYPES = (
	"None",
	"API Key Header",
	"API Key Query",
	"API Key Cookie",
	"Basic",
	"Bearer",
	"HMAC",
	"JWT",
	"AWS Signature",
	"Session Token",
	"OAuth2 Client Credentials",
	"OAuth2 Refresh Token",
	"OAuth2 Password",
	"OAuth2 JWT Bearer",
	"Connected App",
)


EVENT_ID_SOURCES = ("Header or Path", "Header and Path", "Hash of Body", "Each Delivery Is an Event")
EVENT_FORMATS = ("", "CloudEvents")  # "": a body is what it is
# Choices that are never empty: rows of an earlier version have nothing there.
_NEVER_EMPTY = frozenset(
	{
		"client_authentication",
		"sent_in",
		"login_method",
		"login_body_format",
		"jwt_algorithm",
		"jwt_key_encoding",
	}
)
OTHER_BODY = ("", "Conflict", "Duplicate", "New")  # "": as the scheme has it


@dataclass(frozen=True)
class IntegrationConfig:
	"""One Integration Settings document, without its secrets. Field names are the document's."""

	name: str
	enabled: bool = True
	connector: str = "REST"
	base_url: str = ""
	test_path: str = ""
	auth_type: str = "None"
	username: str = ""
	api_key_name: str = "X-API-Key"
	token_url: str = ""
	client_id: str = ""
	scope: str = ""
	aws_region: str = ""
	aws_service: str = ""
	client_authentication: str = "Basic Header"
	token_params: str = ""
	token_path: str = ""
	expires_path: str = ""
	token_lifetime: int = 0
	sent_in: str = "Header"
	token_name: str = ""
	token_format: str = ""
	login_method: str = "POST"
	login_headers: str = ""
	login_body_format: str = "JSON"
	login_body: str = ""
	jwt_algorithm: str = "RS256"
	jwt_key_encoding: str = "Text"
	jwt_claims: str = ""
	jwt_headers: str = ""
	extra_headers: str = ""
	extra_params: str = ""
	connected_app: str = ""
	connected_user: str = ""
	connect_timeout: float = 5.0
	read_timeout: float = 30.0
	max_attempts: int = 5
	backoff_min: float = 2.0
	backoff_max: float = 60.0
	max_wait: float = 120.0
	rate_limit: int = 0
	rate_period: float = 60.0
	breaker_threshold: int = 5
	breaker_seconds: float = 60.0
	max_response_mb: float = 50.0
	verify_tls: bool = True
	proxy: str = ""
	ca_bundle: str = ""
	client_certificate: str = ""
	run_as_user: str = ""
	webhook_enabled: bool = False
	webhook_scheme: str = "HMAC"
	signature_header: str = "X-Webhook-Signature"
	signature_algorithm: str = "sha256"
	signature_encoding: str = "hex"
	signature_prefix: str = ""
	signature_in: str = "Header"
	signature_separator: str = ""
	signed_content: str = "{body}"
	secret_encoding: str = "Text"  # noqa: S105
	timestamp_header: str = ""
	timestamp_prefix: str = ""
	timestamp_unit: str = "Seconds"
	certificate_url: str = ""
	certificate_hosts: str = ""
	webhook_tolerance: int = 300
	webhook_url: str = ""
	max_body_mb: float = 5.0
	event_type_header: str = ""
	event_type_path: str = ""
	event_id_source: str = "Header or Path"
	event_id_header: str = ""
	event_id_path: str = ""
	same_id_other_body: str = ""
	event_time_header: str = ""
	event_time_path: str = ""
	ordering_key_path: str = ""
	headers_to_keep: str = ""
	handshake: str = ""
	handshake_value: str = ""
	handshake_condition: str = ""
	handshake_answer: str = ""
	answer_with: str = ""
	answer_text: str = ""
	answer_type: str = ""
	answer_headers: str = ""
	answer_200: bool = False
	events_path: str = ""
	keep_outer: bool = True
	empty_bodies: bool = False
	event_format: str = ""
	json_fields: str = ""
	keep_files: bool = False
	event_attempts: int = 8
	event_retry_pauses: str = ""
	event_dead_hours: float = 0.0
	queue_enabled: bool = False
	queue_kind: str = "List"
	queue_end: str = "Right"
	queue_name: str = "integration_queue"
	queue_group: str = "integration_hub"
	keep_payload_days: int = 0
	keep_dead_days: int = 0
	keep_unrouted_days: int = 0
	keep_conflict_days: int = 0
	answer_rules: tuple[AnswerRule, ...] = ()

	@property
	def fetches_tokens(self) -> bool:
		"""Tell whether requests carry a token that is asked for, stored and renewed."""
		return self.auth_type.startswith("OAuth2") or self.auth_type == "Session Token"

	@classmethod
	def from_row(cls, row: Mapping[str, Any]) -> IntegrationConfig:
		"""Read a row or a TOML table: empty values give the default, numbers and checks are converted."""
		rules = tuple(AnswerRule(**typed_values(AnswerRule, rule)) for rule in row.get("answer_rules") or ())
		plain = {
			name: value
			for name, value in row.items()
			if name != "answer_rules" and (value or name not in _NEVER_EMPTY)
		}
		return cls(**typed_values(cls, plain), answer_rules=rules)


_CHOICES = {
	"event_id_source": EVENT_ID_SOURCES,
	"same_id_other_body": OTHER_BODY,
	"event_format": EVENT_FORMATS,
}


def typed_values(cls: type, row: Mapping[str, Any]) -> dict[str, Any]:
	"""Return `row`'s values for the fields of dataclass `cls`, in the types of their defaults.

	A number or check that is empty gives the default; so does a field that `row` does not have.

	Raises ValueError naming the field where a number is not one.
	"""
	values = {}
	for field in fields(cls):
		if field.name not in row:
			continue
		value, kind = row[field.name], type(field.default)
		if value is None or value == "":
			if kind is str:
				values[field.name] = ""  # emptied by a person, which means something
			continue
		try:
			values[field.name] = (
				kind(int(value)) if kind is bool else kind(value) if kind in (int, float) else value
			)
		except (TypeError, ValueError, OverflowError):
			expected = "neither true nor false" if kind is bool else "not a number"
			raise ValueError(f"{field.name}: {value!r} is {expected}") from None
	return values


def integration_problems(
	config: IntegrationConfig, secrets: Mapping[str, str | None]
) -> list[tuple[str, str]]:
	"""Return what is wrong with the settings as (field, sentence), empty when they can work.

	`secrets` maps Password fields to their values, masks or references; only their presence is looked at.
	"""
	problems = [*_credentials(config)]
	if config.connector == "Singer":
		if not config.base_url.startswith("tap:"):
			problems.append(("base_url", _("must name a registered tap: tap:NAME")))
	elif not config.base_url.startswith(("http://", "https://")):
		problems.append(("base_url", _("must start with http:// or https://")))
	if config.auth_type not in AUTH_TYPES:
		problems.append(("auth_type", _("{0!r} is not one of {1}", config.auth_type, ", ".join(AUTH_TYPES))))
	problems += _missing_credentials(config, secrets)
	chosen_by_sender = config.handshake in ("Secret Header", "Secret Body")
	if config.webhook_enabled and not secrets.get("webhook_secret") and not chosen_by_sender:
		problems.append(("webhook_secret", _("is empty: every webhook would be rejected")))
	for field, known in _CHOICES.items():
		if getattr(config, field) not in known:
			named = ", ".join(filter(None, known))
			problems.append((field, _("{0!r} is not one of {1}", getattr(config, field), named)))
	for field in ("event_type_path", "event_id_path", "event_time_path", "ordering_key_path"):
		if (path := getattr(config, field)) and (problem := composed_path_problem(path)):
			problems.append((field, problem))
	if config.queue_enabled and not secrets.get("queue_url"):
		problems.append(("queue_url", _("is needed to consume a queue")))
	if config.queue_kind not in ("List", "Stream"):
		problems.append(("queue_kind", _("{0!r} is neither List nor Stream", config.queue_kind)))
	problems += range_problems(config)
	problems += (("answer_rules", problem) for problem in rule_problems(config.answer_rules))
	if config.backoff_max < config.backoff_min:
		problems.append(("backoff_max", _("must not be below the shortest backoff")))
	return problems


_WITH_SECRET = (
	"API Key Header",
	"API Key Query",
	"API Key Cookie",
	"Bearer",
	"HMAC",
	"AWS Signature",
	"OAuth2 Password",
)


def _missing_credentials(
	config: IntegrationConfig, secrets: Mapping[str, str | None]
) -> Iterator[tuple[str, str]]:
	if config.auth_type in _WITH_SECRET and not secrets.get("secret"):
		yield "secret", _("is needed for {0}", config.auth_type)
	if config.auth_type == "Basic" and not (config.username or secrets.get("secret")):
		yield "username", _("must not be empty if the secret is empty too, for Basic")
	if config.auth_type.startswith("OAuth2"):
		if not config.token_url.startswith(("http://", "https://")):
			yield "token_url", _("must start with http:// or https://")
		if not config.client_id and config.auth_type != "OAuth2 JWT Bearer":
			yield "client_id", _("is needed for OAuth2")
	if config.auth_type == "Connected App" and not config.connected_app:
		yield "connected_app", _("is needed for Connected App")
	if config.auth_type == "OAuth2 Refresh Token" and not secrets.get("refresh_token"):
		yield "refresh_token", _("is needed for OAuth2 Refresh Token")


# What is wrong with credentials in the URLs of the settings, which all their readers see.
_CREDENTIALS = {
	"base_url": _("must not contain a user and password: use the fields under Authentication"),
	"test_path": _("must not contain a user and password: use the fields under Authentication"),
	"token_url": _("must not contain a user and password: use Client ID and Client Secret"),
	"proxy": _("must not contain a user and password: use Proxy Secret (proxy_secret), as user:password"),
	"webhook_url": _("must not contain a user and password: the address is signed without them"),
}
_USERINFO = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//[^/?#\\]*@", re.IGNORECASE)


def _credentials(config: IntegrationConfig) -> Iterator[tuple[str, str]]:
	for field, sentence in _CREDENTIALS.items():
		if has_credentials(getattr(config, field)) or (field == "proxy" and "@" in config.proxy):
			yield field, sentence


def header_names(text: str) -> tuple[str, ...]:
	"""Return the headers that a setting names, with commas between, in lower case."""
	return tuple(name.strip().lower() for name in text.split(",") if name.strip())


def has_credentials(url: str) -> bool:
	"""Tell whether a URL names a user before its host."""
	return bool(_USERINFO.match(url))
