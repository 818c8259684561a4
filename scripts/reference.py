"""Write the tables of docs/reference.md: each setting and each field of a log, as the doctypes' JSON describes them.

What stands between the page's two markers is made here; the text around them is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
if __name__ == "__main__":
	sys.path.insert(0, str(ROOT))

from integration_hub.connectors.secrets import SECRET_FIELDS  # noqa: E402
from integration_hub.connectors.setting_ranges import RANGES  # noqa: E402
from integration_hub.runtime.standalone.hub_toml import KEPT, TITLE_FIELDS  # noqa: E402
from integration_hub.stores.doctype_tables import NO_COLUMN, TABLES, doctypes  # noqa: E402

PAGE = ROOT / "docs/reference.md"
BEGIN, END = "<!-- tables: make reference -->", "<!-- /tables -->"

Field = Mapping[str, Any]


class Section(NamedTuple):
	"""One DocType on the page. table: how hub.toml writes it, "" for what only the app writes."""

	doctype: str
	table: str
	about: str


SETTINGS = (
	Section("Integration Settings", "[integration.NAME]", "One external system."),
	Section(
		"Webhook Route", "[[integration.NAME.routes]]", "One row of *Routes*. The order of the rows counts."
	),
	Section(
		"Answer Rule",
		"[[integration.NAME.answer_rules]]",
		"One row of *Answer Rules*. The first that fits an answer decides.",
	),
	Section(
		"Sync Settings",
		"[stream.NAME]",
		"One stream: a list of an external system that goes into one DocType, or a DocType that goes out.",
	),
	Section("Sync Field Mapping", "[stream.NAME.mapping]", "One row of *Mapping*."),
)
LOGS = (
	Section("Sync Log", "", "One run of one stream."),
	Section("Webhook Log", "", "One event, by webhook or from a queue."),
	Section("Delivery Log", "", "One delivery of a document's change to the external system."),
	Section("Outbound Change", "", "One change that no stream has taken up yet: the outbox."),
	Section("External Record", "", "One record of the source, and the document that stands for it."),
	Section("Integration Error Log", "", "One distinct failure, however often it happened."),
)
# What no doctype describes: the keys of [hub] as type, default and meaning.
HUB_KEYS: dict[str, tuple[str, str, str]] = {
	"database": ("text", "`hub.db`", "The SQLite file, relative to `hub.toml`."),
	"encryption_key": (
		"secret",
		"",
		"A Fernet key that OAuth2 tokens are stored encrypted with. Required for OAuth2.",
	),
	"redis": (
		"text or secret",
		"",
		"URL of a Redis server, or a reference to one. Processes share locks, rate budgets and breakers through it. "
		"Without it they hold for one process.",
	),
	"allowed_hosts": (
		"list of text",
		"`[]`",
		"Hosts of private networks that may be called, as `HOST` or `HOST:PORT` "
		"(see [security](security.md#where-requests-may-go)).",
	),
	"forget_streams": (
		"list of text",
		"`[]`",
		"Former streams whose documents stay and belong to no stream (see [sync](sync.md#identity)).",
	),
	**{
		key: (
			"whole number, from 0 to 36500",
			f"`{days}`",
			f"Days to keep settled rows of {log}. 0: forever.",
		)
		for key, (log, days) in KEPT.items()
	},
}


def main() -> None:
	PAGE.write_text(renewed(PAGE.read_text()))


def renewed(page: str) -> str:
	"""Return the page with its tables made again."""
	before, _, rest = page.partition(BEGIN)
	return f"{before}{BEGIN}\n{tables()}\n{END}{rest.partition(END)[2]}"


def tables() -> str:
	"""Return the generated part of the page, as Markdown."""
	parts = ["\n## Keys of hub.toml\n", *_hub()]
	for section in SETTINGS:
		parts += _section(section)
	parts.append(
		"\n## Fields that the app writes\n\nNobody edits these. They are the columns of lists, reports and exports.\n"
	)
	for section in LOGS:
		parts += _section(section)
	return "\n".join(parts)


def _hub() -> Iterator[str]:
	yield "### `[hub]`\n\n| key | type | default | what it does |\n|---|---|---|---|"
	for key, (kind, default, meaning) in HUB_KEYS.items():
		yield f"| `{key}` | {kind} | {default} | {meaning} |"


def _section(section: Section) -> Iterator[str]:
	title = f"`{section.table}`: {section.doctype}" if section.table else section.doctype
	yield f"\n### {title}\n\n{section.about}"
	for heading, fields in groups(section):
		yield f"\n**{heading}**\n" if heading else ""
		yield from _table(section.doctype, fields, writable=bool(section.table))


def groups(section: Section) -> Iterator[tuple[str, list[Field]]]:
	"""Return the fields that the page describes, by the heading they stand under in Desk."""
	heading, found = "", []
	for field in doctypes()[section.doctype]["fields"]:
		if field["fieldtype"] in ("Section Break", "Tab Break"):
			if found:
				yield heading, found
			heading, found = field.get("label") or "", []
		elif is_described(field, writable=bool(section.table)):
			found.append(field)
	if found:
		yield heading, found


def is_described(field: Field, *, writable: bool) -> bool:
	"""Tell whether a field has a row: of settings those that a person sets, of logs all."""
	if field["fieldtype"] in NO_COLUMN - TABLES:
		return False
	return not (writable and field.get("read_only"))


def _table(doctype: str, fields: Iterable[Field], *, writable: bool) -> Iterator[str]:
	if not writable:
		yield "| field | in Desk | type | what it says |\n|---|---|---|---|"
		for field in fields:
			yield _row(_code(field["fieldname"]), field["label"], kind(field), described(field))
		return
	yield "| key | in Desk | type | default | what it does |\n|---|---|---|---|---|"
	for field in fields:
		needed = "**required**" if field.get("reqd") and not field.get("default") else default(field)
		yield _row(
			_code(field["fieldname"]),
			field["label"],
			kind(field),
			needed,
			described(field) + _used_if(doctype, field),
		)


def _row(*cells: str) -> str:
	return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
	return f"`{text}`"


def described(field: Field) -> str:
	"""Return what a field is for, as one line of a table."""
	return field.get("description", "").replace("|", "\\|").replace("\n", " ").strip()


def kind(field: Field) -> str:
	"""Return what a field may hold: its choices, its range, or its type in a word."""
	fieldtype, options = field["fieldtype"], field.get("options") or ""
	if field["fieldname"] in TITLE_FIELDS.values():
		return "text; in `hub.toml` the NAME of the table"
	if fieldtype == "Select":
		return ", ".join(_code(option) for option in options.split("\n") if option)
	if fieldtype == "Link":
		return f"name of a {options}"
	if fieldtype == "Dynamic Link":
		return "name of a document"
	if fieldtype in TABLES:
		return f"rows of {options}"
	if field["fieldname"] in SECRET_FIELDS:
		return "secret"
	if fieldtype in ("Int", "Float"):
		return _number(field)
	words = {"Check": "true or false", "Password": "secret", "Datetime": "time"}
	return words.get(fieldtype, "text")


def _number(field: Field) -> str:
	word = "whole number" if field["fieldtype"] == "Int" else "number"
	if field["fieldname"] not in RANGES or field.get("read_only"):
		return word
	least, largest = RANGES[field["fieldname"]]
	return f"{word}, from {least:.12g} to {largest:.12g}"


def default(field: Field) -> str:
	"""Return what a setting is where nobody sets it, as hub.toml writes it."""
	value = str(field.get("default") or "")
	if field["fieldtype"] == "Check":
		return _code("true" if value == "1" else "false")
	return _code(value or "0") if value or field["fieldtype"] in ("Int", "Float") else ""


_SET = re.compile(r"(?:doc\.)?(\w+)$")
_ONE_OF = re.compile(r"(\[.+\])\.includes\(doc\.(\w+)\)$")
_COMPARED = (
	(re.compile(r"doc\.(\w+) ?={2,3} ?[\"'](.+?)[\"']$"), "is"),
	(re.compile(r"doc\.(\w+) ?!={1,2} ?[\"'](.+?)[\"']$"), "is not"),
	(re.compile(r"\(doc\.(\w+) ?\|\| ?[\"']{2}\)\.startsWith\([\"'](.+?)[\"']\)$"), "begins with"),
)


def _used_if(doctype: str, field: Field) -> str:
	fields = {other["fieldname"]: other for other in doctypes()[doctype]["fields"]}
	words = condition(field.get("depends_on") or "", fields)
	return f" Used if {words}." if words else ""


def condition(text: str, fields: Mapping[str, Field]) -> str:
	"""Return when a form shows a field, in words; "" where it always does, or the condition is beyond these words."""
	text = text.strip().removeprefix("eval:").strip()
	while text.startswith("(") and 0 not in _depths(text)[:-1]:
		text = text[1:-1].strip()
	for operator, word in (("&&", " and "), ("||", " or ")):
		parts = _split(text, operator)
		if len(parts) > 1:
			said = [condition(part, fields) for part in parts]
			return word.join(said) if all(said) else ""
	return _simple(text, fields)


def _simple(text: str, fields: Mapping[str, Field]) -> str:
	if (found := _SET.match(text)) and found[1] in fields:
		is_check = fields[found[1]]["fieldtype"] == "Check"
		return f"*{fields[found[1]]['label']}* is {'on' if is_check else 'set'}"
	for pattern, word in _COMPARED:
		if (found := pattern.match(text)) and found[1] in fields:
			return f"*{fields[found[1]]['label']}* {word} `{found[2]}`"
	if (found := _ONE_OF.match(text)) and found[2] in fields:
		*first, last = (f"`{choice}`" for choice in re.findall("[\"'](.+?)[\"']", found[1]))
		choices = f"{', '.join(first)} or {last}" if first else last
		return f"*{fields[found[2]]['label']}* is {choices}"
	return ""


def _depths(text: str) -> list[int]:
	"""Return in how many brackets each character of an expression stands, itself included if it opens one."""
	depth, found = 0, []
	for letter in text:
		depth += (letter in "([") - (letter in ")]")
		found.append(depth)
	return found


def _split(text: str, operator: str) -> list[str]:
	"""Return the parts of an expression between an operator that stands in no brackets."""
	depths, parts, begin = _depths(text), [], 0
	for place in range(len(text)):
		if depths[place] == 0 and text.startswith(operator, place):
			parts.append(text[begin:place])
			begin = place + len(operator)
	return [*parts, text[begin:]]


if __name__ == "__main__":
	main()
