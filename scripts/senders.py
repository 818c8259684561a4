"""Write what is made from the presets' data: the tables of senders in docs/, and the choices of Signature Scheme.

What stands between a page's two markers is made here; the text around them is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
if __name__ == "__main__":
	sys.path.insert(0, str(ROOT))

from integration_hub.connectors.config import IntegrationConfig  # noqa: E402
from integration_hub.webhooks.presets import GROUPS, Preset, filled, presets  # noqa: E402
from integration_hub.webhooks.schemes import SCHEMES  # noqa: E402
from integration_hub.webhooks.schemes.base import Everything, Scheme  # noqa: E402
from integration_hub.webhooks.schemes.signed_content import covers, parts_of  # noqa: E402

DOCTYPE = ROOT / "integration_hub/integration_hub/doctype/integration_settings/integration_settings.json"
BEGIN, END = "<!-- senders: make senders -->", "<!-- /senders -->"
_COVERED = {
	"body": "body",
	"part": "parts of the body",
	"crc32": "a checksum of the body",
	"form": "form",
	"timestamp": "time",
	"id": "id",
	"url": "URL",
	"path": "path",
	"method": "method",
	"query": "query",
	"header": "headers",
}


def main() -> None:
	for page, table in PAGES.items():
		path = ROOT / page
		path.write_text(renewed(path.read_text(), table()))
	DOCTYPE.write_text(with_choices(DOCTYPE.read_text()))


def with_choices(text: str) -> str:
	"""Return the JSON of the DocType with all senders as the choices of Signature Scheme."""
	doctype = json.loads(text)
	[field] = [f for f in doctype["fields"] if f["fieldname"] == "webhook_scheme"]
	field["options"] = "\n".join(SCHEMES)
	return json.dumps(doctype, indent=1, ensure_ascii=False) + "\n"


def renewed(page: str, table: str) -> str:
	"""Return a page with its table made again."""
	before, _, rest = page.partition(BEGIN)
	return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"


def catalogue() -> str:
	"""Return a table of each group, and what a person has to know about its senders, as Markdown."""
	return "\n\n".join(_group(name) for name in GROUPS)


def _group(group: str) -> str:
	found = [preset for preset in presets().values() if preset.group == group]
	lines = [
		f"### {group}",
		"",
		"| scheme | at the sender, put the address at | into *Webhook Secret* goes | id | type |",
		"|---|---|---|---|---|",
		*(" | ".join(["", *_cells(preset), ""]).strip() for preset in found),
	]
	notes = [f"- **{preset.name}**: {' '.join(preset.notes)}" for preset in found if preset.notes]
	return "\n".join([*lines, *([""] if notes else []), *notes])


def _cells(preset: Preset) -> Iterator[str]:
	places = preset.places
	yield f"[{preset.name}]({preset.documentation})"
	yield preset.address
	yield preset.secret
	yield _place(preset, "event_id_header", places.id_path) or _made_id(preset)
	yield _place(preset, "event_type_header", places.type_path)


def _place(preset: Preset, header: str, path: str) -> str:
	named = [name.strip() for name in preset.settings.get(header, "").split(",") if name.strip()]
	if path.startswith("["):  # what stands in for a missing part says nothing here
		path = re.sub(r" \|\| ('[^']*'|`[^`]*`)", "", path)
	paths = [part.strip() for part in path.split("||") if part.strip()]
	return ", ".join(f"`{place}`" for place in [*named, *paths])


def _made_id(preset: Preset) -> str:
	each = preset.settings.get("event_id_source") == "Each Delivery Is an Event"
	return "each delivery" if each else "hash of the body"


def signed() -> str:
	"""Return the table of what each scheme signs, as Markdown."""
	head = ["| scheme | covers | its id is | its type is | sent again |", "|---|---|---|---|---|"]
	return "\n".join([*head, *(" | ".join(["", *_row(name), ""]).strip() for name in SCHEMES)])


def _row(name: str) -> Iterator[str]:
	config = filled(IntegrationConfig("x", webhook_scheme=name))
	scheme = SCHEMES[name](config)
	places = scheme.places
	yield name
	yield _covers(scheme, name)
	yield _is(scheme, places.id_headers, places.id_path, _made_id(presets()[name]))
	yield _is(scheme, places.type_headers, places.type_path, "none")
	yield _again(scheme, name)


def _content(scheme: Scheme, name: str) -> list[str]:
	template = presets()[name].settings.get("signed_content") or scheme.config.signed_content
	return [
		"part" if part == "body" and inner else part for part, inner in parts_of(template) if part in _COVERED
	]


def _covers(scheme: Scheme, name: str) -> str:
	if isinstance(scheme.signed_headers, Everything):
		return "nothing"
	return ", ".join(dict.fromkeys(_COVERED[part] for part in _content(scheme, name)))


def _is(scheme: Scheme, headers: tuple[str, ...], path: str, none: str) -> str:
	if not headers and not path:
		return none
	if isinstance(scheme.signed_headers, Everything):
		return "as good as the body"
	return "signed" if _is_signed(scheme, headers, path) else "not signed"


def _is_signed(scheme: Scheme, headers: tuple[str, ...], path: str) -> bool:
	return all(header in scheme.signed_headers for header in headers) and covers(scheme.signed_paths, path)


def _again(scheme: Scheme, name: str) -> str:
	if isinstance(scheme.signed_headers, Everything):
		return "contains the secret: somebody who has it can send anything"
	known = _known_again(scheme)
	if "timestamp" in _content(scheme, name):
		return f"is refused after {scheme.config.webhook_tolerance} seconds; earlier, {known}"
	return known.removeprefix("it ") if known.startswith("it is") else known


def _known_again(scheme: Scheme) -> str:
	places = scheme.places
	looked = (
		("id", places.id_headers, places.id_path),
		("type", places.type_headers, places.type_path),
	)
	loose = [what for what, headers, path in looked if not _is_signed(scheme, headers, path)]
	if loose:
		return f"under another {' or '.join(loose)} it is a new event"
	if not isinstance(scheme.signed_paths, Everything):
		return "with other fields that are not signed it is a new event"
	return "it is a duplicate"


PAGES = {"docs/webhooks.md": catalogue, "docs/security.md": signed}


if __name__ == "__main__":
	main()
