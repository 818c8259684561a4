"""Presets: one file of data for each sender of webhooks, `<name>.toml` in this folder.

A file names the scheme that verifies the sender, and values of Integration Settings under the same names as there:
what is signed, where an event has its id, type and time, how a body is split, what is answered. So a preset can say
whatever a person could set by hand, and nothing else. Its keys:

	name            the choice of *Signature Scheme*, which documents store: never renamed
	scheme          the implementation that verifies: a key of `schemes.BASES` ("HMAC", "Public Key", "Token", …)
	group           the heading in the catalogue, one of GROUPS
	documentation   the address of the sender's own page
	address         where the webhook's URL is entered at the sender (Markdown)
	secret          what goes into *Webhook Secret* (Markdown)
	notes           a list of sentences that a person has to know (Markdown), may be left out
	record_path     the Record Path of a new route, "data" unless said; "" is the body itself, or the item of a list
	forms           false where nothing but JSON is ever signed; true unless said
	handles         what the implementation answers by itself besides the settings, in a few words, may be left out
	[settings]      values of Integration Settings, by fieldname; those of SETTABLE may be there

`filled` says which of them count: what proves the sender is always the preset's; elsewhere what a person has set stands.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from integration_hub.connectors.config import IntegrationConfig, header_names, typed_values
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.webhooks.places import Places

if sys.version_info >= (3, 11):
	import tomllib
else:  # Frappe 15 runs on Python 3.10, too
	import tomli as tomllib

_MARKUP = re.compile(r"([*`])(.+?)\1")  # labels and code
FOLDER = Path(__file__).parent
GROUPS = ("General", "Commerce", "Payments", "Development", "Messaging", "Business", "Documents", "Cloud")

# What proves the sender: under a preset of a sender, what a person has set before does not count.
SETTLED = (
	"signature_in",
	"signature_header",
	"signature_prefix",
	"signature_separator",
	"signature_algorithm",
	"signature_encoding",
	"signed_content",
	"secret_encoding",
	"timestamp_header",
	"timestamp_prefix",
	"timestamp_unit",
	"certificate_url",
	"certificate_hosts",
)
# Who sets one of these has thought of all of them: the preset's do not mix with them.
TOGETHER = (
	("event_id_header", "event_id_path", "event_id_source"),
	("event_type_header", "event_type_path"),
	("event_time_header", "event_time_path"),
	("handshake", "handshake_value", "handshake_condition", "handshake_answer"),
	("answer_with", "answer_text", "answer_type"),
)
# Each for itself: what is not the field's default stands.
ALONE = (
	"webhook_tolerance",
	"same_id_other_body",
	"ordering_key_path",
	"answer_headers",
	"answer_200",
	"events_path",
	"keep_outer",
	"event_format",
	"json_fields",
	"empty_bodies",
)
SETTABLE = frozenset([*SETTLED, *(name for group in TOGETHER for name in group), *ALONE, "headers_to_keep"])
_DEFAULTS = {f.name: f.default for f in fields(IntegrationConfig) if f.default is not MISSING}


@dataclass(frozen=True)
class Preset:
	"""One sender, as its file describes it."""

	name: str
	scheme: str
	group: str
	documentation: str
	address: str
	secret: str
	notes: tuple[str, ...] = ()
	record_path: str = "data"
	forms: bool = True
	handles: str = ""
	settings: Mapping[str, Any] = field(default_factory=dict)

	@cached_property
	def places(self) -> Places:
		"""Return where the sender puts an event's id, type and time."""
		said = self.settings.get
		return Places(
			id_headers=header_names(said("event_id_header", "")),
			id_path=said("event_id_path", ""),
			type_headers=header_names(said("event_type_header", "")),
			type_path=said("event_type_path", ""),
			time_headers=header_names(said("event_time_header", "")),
			time_path=said("event_time_path", ""),
			joined=said("event_id_source", "") == "Header and Path",
			record_path=self.record_path,
		)


@lru_cache(1)
def presets() -> dict[str, Preset]:
	"""Return all presets by name: the general ones first, then by group and name. Raises ConfigurationError."""
	found = [read_preset(path) for path in FOLDER.glob("*.toml")]
	found.sort(key=lambda preset: (GROUPS.index(preset.group), preset.name.lower()))
	return {preset.name: preset for preset in found}


def read_preset(path: Path) -> Preset:
	"""Read one file; raises ConfigurationError naming the file and what is wrong in it."""
	try:
		table = tomllib.loads(path.read_text(encoding="utf-8"))
		_check(table)
		settings = typed_values(IntegrationConfig, table.get("settings", {}))
		return Preset(**{**table, "notes": tuple(table.get("notes", ())), "settings": settings})
	except (ValueError, TypeError) as error:
		raise ConfigurationError(f"{path.name}: {error}") from None


def _check(table: Mapping[str, Any]) -> None:
	if unknown := table.get("settings", {}).keys() - SETTABLE:
		raise ValueError(f"a preset may not set {', '.join(sorted(unknown))}")
	if table.get("group") not in GROUPS:
		raise ValueError(f"group {table.get('group')!r} is not one of {', '.join(GROUPS)}")


def filled(config: IntegrationConfig) -> IntegrationConfig:
	"""Return an integration's settings with those of its preset where they count; the same for another app's scheme."""
	preset = presets().get(config.webhook_scheme)
	if not preset or preset.group == "General":
		return config
	given = preset.settings
	values = {name: given.get(name, _DEFAULTS[name]) for name in SETTLED}
	for group in [*TOGETHER, *((name,) for name in ALONE if name in _DEFAULTS)]:
		if all(getattr(config, name) == _DEFAULTS[name] for name in group):
			values |= {name: given[name] for name in group if name in given}
	kept = [config.headers_to_keep, given.get("headers_to_keep", "")]
	return replace(config, **values, headers_to_keep="\n".join(filter(None, kept)))


def unread(name: str) -> frozenset[str]:
	"""Return the settings that do nothing under a scheme of ours; none of another app's, which may read what it likes."""
	preset = presets().get(name)
	if not preset:
		return frozenset()
	said = {**_DEFAULTS, **preset.settings}
	content = said["signed_content"]
	hidden = {*SETTLED, "webhook_url", "webhook_tolerance", "webhook_verify_token"}
	if preset.group == "General":
		return frozenset(hidden - _READ.get(name, frozenset()))
	read = {
		"webhook_url": "{url}" in content or "{path}" in content,
		"webhook_tolerance": "{timestamp}" in content,
	}
	read["webhook_verify_token"] = preset.scheme == "Meta"
	return frozenset(hidden - {field for field, is_read in read.items() if is_read})


_READ = {
	"HMAC": frozenset(SETTLED) - {"certificate_url", "certificate_hosts"}
	| {"webhook_url", "webhook_tolerance"},
	"Public Key": frozenset(SETTLED) - {"secret_encoding"} | {"webhook_url", "webhook_tolerance"},
	"Token": frozenset({"signature_in", "signature_header", "signature_prefix", "signature_separator"}),
	"Standard Webhooks": frozenset({"webhook_tolerance"}),
}


def plain(markdown: str) -> str:
	"""Return a text of a preset without its Markdown."""
	return _MARKUP.sub(r"\2", markdown)


def catalogue() -> list[dict[str, Any]]:
	"""Return what a person has to know of each preset, as plain data."""
	shown = ("name", "group", "documentation", "address", "secret", "notes")
	return [{name: getattr(preset, name) for name in shown} for preset in presets().values()]
