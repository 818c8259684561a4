"""Foresight of what saving a Document would do, without saving it: no controller, no hook, no script is run.

Frappe's own checks are made here in the order in which a save makes them, as far as they need no code of the DocType.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import frappe
from frappe.model.document import Document
from frappe.utils import cstr, flt

from integration_hub.connectors.app_code import attempt
from integration_hub.lazy_messages import _
from integration_hub.runtime.frappe import submitting
from integration_hub.runtime.frappe.bulk_rules import code_of
from integration_hub.runtime.frappe.document_changes import LINKS
from integration_hub.runtime.frappe.document_changes import change as apply
from integration_hub.runtime.frappe.sanitize import sanitize_record
from integration_hub.runtime.frappe.write_errors import explained
from integration_hub.runtime.frappe.write_permissions import level_sentence, refused, refused_levels
from integration_hub.stores.doctype_tables import CHILD_COLUMNS
from integration_hub.stores.fields import Field, Fields, fields_of
from integration_hub.stores.runtime import Change, Foreseen, Target
from integration_hub.sync.bulk_validation import invalid
from integration_hub.sync.compare import differences
from integration_hub.sync.field_values import InvalidValue
from integration_hub.sync.unique_values import Claims

_NO_LIMIT = 2**31
_SIGNED = ("Int", "Float", "Currency")


def unforeseen(doctype: str) -> str:
	"""Return a sentence for what cannot be foretold of a DocType's documents, "" if no code takes part in a save."""
	if not code_of(doctype):
		return ""
	return _(
		"The code of {0} runs only when a document is saved: what it checks or changes is not predicted.",
		doctype,
	)


class Foresight:
	"""Foretells pages of one DocType. eyes, user: see Target.foresee."""

	def __init__(self, runtime: Any, doctype: str, eyes: Target, user: str) -> None:
		self.runtime, self.doctype, self.eyes, self.user = runtime, doctype, eyes, user
		self.meta = frappe.get_meta(doctype)
		children = {df.options for df in self.meta.get_table_fields()}
		inner = {name: fields_of(df.as_dict() for df in frappe.get_meta(name).fields) for name in children}
		self.fields = fields_of((df.as_dict() for df in self.meta.fields), inner)
		self._claims = Claims(doctype, self.fields)

	def look(self, changes: Sequence[Change]) -> list[Foreseen]:
		"""Return what each change would do, in order."""
		return [self._look(change) for change in changes]

	def _look(self, change: Change) -> Foreseen:
		# What reading its document fails with, a save does too.
		with attempt(self.runtime.db.is_transient) as tried, self.runtime.db.savepoint():
			return self._updated(change) if change.name else self._inserted(change)
		return Foreseen(error=explained(tried.error, self.doctype, change.name))

	def _inserted(self, change: Change) -> Foreseen:
		if change.mapper:
			return self._made(change)
		doc = frappe.get_doc({"doctype": self.doctype})
		doc.update(copied(change.values))
		doc.owner = self.user or "Administrator"
		doc.set("__islocal", True)
		found = Foreseen(differences({}, sanitize_record(self.doctype, change.values), self.fields))
		found.error = self._refused(doc, "create", filled(change.values))
		if change.state:
			found.changes["docstatus"] = (0, submitting.state_after(doc, change))
		doc._set_defaults()  # as insert does, before it checks anything
		return self._judged(doc, change, change.values, found)

	def _made(self, change: Change) -> Foreseen:
		"""Foretell a document that another app's function makes: what that puts into it is not known."""
		found = Foreseen(differences({}, sanitize_record(self.doctype, change.values), self.fields))
		found.doubt = f"{change.mapper} makes it from {' '.join(change.origin)}"
		return found

	def _updated(self, change: Change) -> Foreseen:
		doc = frappe.get_doc(self.doctype, change.name)
		before = {name: _held(doc, name) for name in change.values}
		refused = self._refused(doc, "write", ())  # as it stands
		changed = [path for path in apply(doc, change.values) if not self._leads_on(path, before, doc)]
		moved = {name: change.values[name] for name in dict.fromkeys(_top(path) for path in changed)}
		found = Foreseen(differences(before, sanitize_record(self.doctype, moved), self.fields))
		submitting.refuse_cancelled(doc, change, changed)
		if (state := submitting.state_after(doc, change)) != doc.docstatus:
			found.changes["docstatus"] = (int(doc.docstatus), state)
		if not changed or state == 2:
			found.error = refused if found.changes else None
			return found
		if submitting.forbidden(doc, changed) and not submitting.refuses(change):
			found.doubt = f"{doc.name} is submitted: {change.on_submitted}"
			return found
		found.error = refused or self._fixed(doc, changed)
		found.error = found.error or self._refused(doc, "write", [*changed, *filled(moved)])
		return self._judged(doc, change, moved, found)

	def _leads_on(self, path: str, before: Mapping[str, Any], doc: Document) -> bool:
		"""Tell whether a link leads where it led: MariaDB finds names in any case, and Frappe keeps their spelling."""
		field = self.fields.get(path)
		if frappe.db.db_type != "mariadb" or not field or field.kind not in LINKS:
			return False
		return cstr(before[path]).casefold() == cstr(doc.get(path)).casefold()

	def _refused(self, doc: Document, kind: str, paths: Iterable[str]) -> Exception | None:
		"""Return why the user of the integration may not do something with a document, or write some of its fields."""
		user = self.user or "Administrator"
		with self.runtime.become(user):
			if error := refused(doc, kind):
				return error
		for path, level in refused_levels(self.doctype, paths, user):
			return frappe.PermissionError(level_sentence(self.doctype, path, level, user))
		return None

	def _fixed(self, doc: Document, changed: Sequence[str]) -> Exception | None:
		"""Return which of the fields that would change may not: after submission, or once they are set."""
		for path in changed:
			table, dot, child = path.partition(".")
			df = self.meta.get_field(table)
			if dot:
				df = frappe.get_meta(df.options).get_field(child)
			if doc.docstatus.is_submitted() and not df.allow_on_submit:
				return InvalidValue(f"{path}: does not change after submission")
			if not dot and df.set_only_once:
				return InvalidValue(f"{path}: is set only once")
		return None

	def _judged(self, doc: Document, change: Change, values: Mapping[str, Any], found: Foreseen) -> Foreseen:
		"""Add why a document would not be saved, or what may keep it from it."""
		found.error = found.error or self._wrong(doc, change, values)
		if found.error:
			return found
		missing = _missing(doc)
		if missing and code_of(self.doctype):
			found.doubt = _("{0} is empty: the record fails unless code fills it in.", ", ".join(missing))
		elif missing:
			found.error = InvalidValue(f"{missing[0]}: is required")
		return found

	def _wrong(self, doc: Document, change: Change, values: Mapping[str, Any]) -> Exception | None:
		given = {name: value for name, value in values.items() if name != "naming_series"}
		whole = Change("", None, {**_links(doc, self.fields), **given})
		optional = {name: _optional(field) for name, field in self.fields.items()}
		for error in invalid([whole], optional, self.eyes.existing).values():
			return error
		for error in _wrong_data(doc):
			return error
		taken = self._claims.taken(change.external_id, change.name, values, self.eyes)
		return taken or self._named(doc, change)

	def _named(self, doc: Document, change: Change) -> Exception | None:
		"""Return why a new document cannot have its name, where a field names it."""
		named_by = cstr(self.meta.autoname)
		if change.name or not named_by.startswith("field:"):
			return None
		field = named_by.partition(":")[2]
		name = cstr(doc.get(field)).strip()
		there = name and self.eyes.existing(self.doctype, [name])
		if there or (name and not self._claims.claim("name", name, change.external_id)):
			return InvalidValue(f"{field}: there is a {self.doctype} {name!r} already")
		return None


def filled(values: Mapping[str, Any]) -> list[str]:
	"""Return the fields that hold something: those of a child table as `table.field`."""
	rows = [(table, row) for table, value in values.items() if isinstance(value, list) for row in value]
	inner = [
		f"{table}.{name}" for table, row in rows for name, value in row.items() if value not in (None, "")
	]
	return [name for name, value in values.items() if value not in (None, "", [])] + inner


def copied(values: Mapping[str, Any]) -> dict[str, Any]:
	"""Return values whose rows Frappe may write into."""
	return {
		name: [{**row} for row in value] if isinstance(value, list) else value
		for name, value in values.items()
	}


def _top(path: str) -> str:
	return path.partition(".")[0]


def _held(doc: Document, field: str) -> Any:
	value = doc.get(field)
	return [row.as_dict() for row in value] if isinstance(value, list) else value


def _optional(field: Field) -> Field:
	"""Return a field as it is checked here: whether it is required is asked of the whole document."""
	inner = {name: _optional(child) for name, child in field.fields.items()}
	length = (
		_NO_LIMIT if frappe.db.db_type == "sqlite" else field.length
	)  # whose columns, and Frappe with them, have none
	return replace(field, required=False, length=length, fields=inner)


def _links(doc: Document, fields: Fields) -> dict[str, Any]:
	"""Return all links of a document, those among its rows: a save checks each, whether it changes or not."""
	found = {name: doc.get(name) for name, field in fields.items() if field.kind == "Link" and doc.get(name)}
	for table, field in fields.items():
		inner = [name for name, child in field.fields.items() if child.kind == "Link"]
		if inner:
			found[table] = [{name: row.get(name) for name in inner} for row in doc.get(table) or ()]
	return found


def _missing(doc: Document) -> list[str]:
	"""Return the required fields in which nothing is, nor would be fetched."""
	missing = [field for field, _ in doc._get_missing_mandatory_fields() if not _is_fetched(doc, field)]
	for row in doc.get_all_children():
		inner = [name for name, _ in row._get_missing_mandatory_fields() if name not in CHILD_COLUMNS]
		missing += [f"{row.parentfield}.{name}" for name in inner if not _is_fetched(row, name)]
	return list(dict.fromkeys(missing))


def _is_fetched(doc: Document, field: str) -> bool:
	df = doc.meta.get_field(field)
	return bool(df and df.fetch_from and doc.get(_top(df.fetch_from)))


def _wrong_data(doc: Document) -> Iterator[Exception]:
	"""Return which fields hold no address, telephone number or URL though they are for one, or are below 0."""
	for row in (doc, *doc.get_all_children()):
		place = f"{row.parentfield}." if row.meta.istable else ""
		for df in row.meta.fields:
			value = row.get(df.fieldname)
			if df.non_negative and df.fieldtype in _SIGNED and flt(value) < 0:
				yield InvalidValue(f"{place}{df.fieldname}: may not be below 0")
			kind = df.options if df.fieldtype == "Data" else df.fieldtype if df.fieldtype == "Phone" else ""
			if kind and value and not _is_data(row.doctype, df, value):
				yield InvalidValue(f"{place}{df.fieldname}: {value!r} is no {kind}")


def _is_data(doctype: str, df: Any, value: Any) -> bool:
	try:
		Document({"doctype": doctype, df.fieldname: value})._validate_data_fields()
	except frappe.ValidationError:
		frappe.clear_messages()
		return False
	return True
