"""Writing records as Documents: controllers, permissions, naming, defaults, versions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import frappe

from integration_hub.connectors.app_code import attempt
from integration_hub.runtime.frappe import mappers, submitting
from integration_hub.runtime.frappe.bulk_rules import bulk_problem
from integration_hub.runtime.frappe.document_changes import change as apply
from integration_hub.runtime.frappe.document_changes import is_same, overruled
from integration_hub.runtime.frappe.foresee import Foresight, copied, filled, unforeseen
from integration_hub.runtime.frappe.indexes import keep_name_unique
from integration_hub.runtime.frappe.kept_documents import foresee_removal, foreseen, kept
from integration_hub.runtime.frappe.no_gravatar import without_gravatar
from integration_hub.runtime.frappe.outbox_rows import note_rows
from integration_hub.runtime.frappe.sanitize import (
	bad_link,
	may_hold_markup,
	sanitize,
	sanitize_record,
	url_fields,
)
from integration_hub.runtime.frappe.write_errors import explained
from integration_hub.runtime.frappe.write_permissions import (
	depends_on_document,
	level_sentence,
	refuse_levels,
	refused,
	refused_levels,
)
from integration_hub.stores.database import LONG_ENOUGH, Outdated
from integration_hub.stores.doctype_tables import NUMERIC, TABLES
from integration_hub.stores.fields import Field, Fields, fields_of
from integration_hub.stores.runtime import (
	CANCEL,
	SUBMIT,
	Change,
	Foreseen,
	HubError,
	NotKept,
	Target,
	Written,
)
from integration_hub.stores.settings import existing_names
from integration_hub.sync.bulk import BulkTarget
from integration_hub.sync.write_rules import is_blank


class DocumentTarget:
	"""Documents of one DocType, written as the current user, each undone alone if it fails."""

	at_once = 1  # a controller takes its time

	def __init__(self, runtime: Any, doctype: str) -> None:
		self.runtime, self.doctype = runtime, doctype
		self._begun_again: set[str] = set()
		self._foresight: Foresight | None = None

	def fields(self) -> Fields:
		"""Return the fields of the DocType that can be written."""
		return doctype_fields(self.doctype)

	def find(self, field: str, values: Sequence[Any]) -> dict[str, str]:
		"""Return {value: name} of the documents with one of `values`; of several, the oldest."""
		rows = frappe.get_all(
			self.doctype,
			filters={field: ["in", list(values)]},
			fields=["name", field],
			order_by="creation desc",
		)
		return {str(row[field]): row["name"] for row in rows}

	def write(self, changes: Sequence[Change]) -> list[Written]:
		"""Save each document by itself, in a savepoint of its own."""
		return [self._write(change) for change in changes]

	def _write(self, change: Change) -> Written:
		written: list[Written] = []

		def work(fresh: bool) -> None:
			written.append(self._update(change, fresh) if change.name else self._insert(change))

		error = self._undone(change.name, change.external_id, work)
		return Written(None, error) if error else written[-1]

	def _insert(self, change: Change) -> Written:
		doc = self._new(change)
		refuse_levels(doc, filled(change.values))
		doc.flags.notify_update = False  # one signal a page is enough
		doc.insert()
		if change.state == SUBMIT:
			doc.submit()
		self._check_kept(doc.name, {field: change.values[field] for field in change.kept})
		return Written(doc.name, overruled=overruled(doc, change.values))

	def _new(self, change: Change) -> Any:
		"""Return a document that is not there yet, with a record's values."""
		if change.mapper:
			doc = mappers.made(change.mapper, change.origin, self.doctype)
			apply(doc, change.values)
			return doc
		doc = frappe.get_doc(
			{"doctype": self.doctype}
		)  # no new_doc: insert sets the defaults itself, from a copy
		doc.update(copied(change.values))
		return doc

	def _update(self, change: Change, fresh: bool) -> Written:
		# As it is now, whatever the snapshot shows, where it turned out to have changed meanwhile.
		doc = frappe.get_doc(self.doctype, change.name, **({"for_update": True} if fresh else {}))
		doc.check_permission(
			"write"
		)  # as it is stored: the new values could make it one that the user may write
		kept = {f for f in change.only_blank if not is_blank(doc.get(f), self.fields()[f])}
		values = {field: value for field, value in change.values.items() if field not in kept}
		changed = apply(doc, values)
		submitting.refuse_cancelled(doc, change, changed)
		if change.state == CANCEL and not doc.docstatus.is_draft():
			return self._cancel(doc, change)
		if (fields := submitting.forbidden(doc, changed)) and not submitting.fails(change):
			return self._changed_too_late(doc, replace(change, values=values), fields, fresh)
		if change.state == CANCEL:
			submitting.cancel_for(doc, change)
		if not changed and not (change.state == SUBMIT and doc.docstatus.is_draft()):
			return Written(doc.name, same=True)
		moved = {name: value for name, value in values.items() if name in changed}
		refuse_levels(doc, [*changed, *filled(moved)])
		doc.flags.notify_update = False
		submitting.save(doc, change.state)
		self._check_kept(doc.name, {field: change.values[field] for field in change.kept})
		return Written(doc.name, overruled=overruled(doc, moved))

	def _cancel(self, doc: Any, change: Change) -> Written:
		was_cancelled = doc.docstatus.is_cancelled()
		submitting.cancel_for(doc, change)
		return Written(doc.name, same=was_cancelled)

	def _changed_too_late(self, doc: Any, change: Change, fields: Sequence[str], fresh: bool) -> Written:
		"""Amend a submitted document, or write what it still takes; raises SubmittedDocument if it may be neither."""
		if submitting.amends(change):
			refuse_levels(doc, [*filled(change.values), *submitting.held_at_levels(doc)])
			return Written(submitting.amend(self.doctype, change).name)
		values = submitting.left_alone(doc, change, fields)
		return self._update(replace(change, values=values), fresh)

	def _check_kept(self, name: str, values: Mapping[str, Any]) -> None:
		"""Raise NotKept unless the document holds these values, in the database, after it was saved."""
		if not values:
			return
		now = frappe.get_doc({"doctype": self.doctype, **self.values([name], list(values))[name]})
		for field, value in values.items():
			if not is_same(now, field, value):
				raise NotKept(
					f"{self.doctype} {name}: {field} was set to {value!r} and is {now.get(field)!r} after saving; "
					"its controller sets it back"
				)

	def values(self, names: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
		"""Return what documents hold now, by name, with the rows of child tables."""
		known = {name: field for name, field in self.fields().items() if name in fields}
		plain = [name for name, field in known.items() if field.kind not in TABLES]
		rows = frappe.get_all(self.doctype, filters={"name": ["in", list(names)]}, fields=["name", *plain])
		found = {row.pop("name"): row for row in rows}
		for table, field in known.items():
			if field.kind in TABLES:
				self._add_children(table, field, found)
		return found

	def _add_children(self, table: str, field: Field, found: Mapping[str, dict[str, Any]]) -> None:
		"""Add to what documents hold the rows of a child table."""
		for row in found.values():
			row[table] = []
		filters = {"parent": ["in", list(found)], "parenttype": self.doctype, "parentfield": table}
		fields = ["parent", *field.fields]
		for child in frappe.get_all(field.options, filters=filters, fields=fields, order_by="idx"):
			found[child.pop("parent")][table].append(child)

	def existing(self, doctype: str, names: Sequence[str]) -> set[str]:
		"""Return those of `names` that a DocType has."""
		return existing_names(self.runtime.db, doctype, names)

	def foresee(self, changes: Sequence[Change], eyes: Target, user: str) -> list[Foreseen]:
		"""Return what saving would change or refuse, by Frappe's own checks; no controller, hook or script runs."""
		if self._foresight is None:
			self._foresight = Foresight(self.runtime, self.doctype, eyes, user)
		return self._foresight.look(changes)

	def unforeseen(self) -> str:
		"""Return a sentence for the DocType's own code, which a dry run does not run; "" where it has none."""
		return unforeseen(self.doctype)

	def foresee_removal(self, names: Sequence[str], user: str) -> dict[str, Foreseen]:
		"""Return what `delete` would refuse, by name; no controller, hook or script runs."""
		with self.runtime.become(user):
			return foresee_removal(self.runtime, self.doctype, names)

	def submit_problem(self) -> str:
		"""Return why documents of the DocType cannot be submitted, "" if they can."""
		return submitting.submit_problem(self.doctype)

	def mapper_problem(self, mapper: str) -> str:
		"""Return why a function cannot make documents from others, "" if it can."""
		return mappers.mapper_problem(mapper)

	def cancel(self, names: Sequence[str]) -> dict[str, Exception]:
		"""Cancel each document that is submitted, comment on drafts; return the errors by name."""
		return self._each(names, lambda name, fresh: submitting.gone(self.doctype, name))

	def delete(self, names: Sequence[str]) -> dict[str, Exception]:
		"""Delete each document with Frappe's checks; return the errors by name."""

		def work(name: str, fresh: bool) -> None:
			frappe.delete_doc(self.doctype, name, ignore_missing=True)

		return self._each(names, work)

	def set_value(self, names: Sequence[str], field: str, value: Any) -> dict[str, Exception]:
		"""Set one field and save each document; return the errors by name."""
		return self._each(
			names,
			lambda name, fresh: self._update(Change(name, name, {field: value}, kept=(field,)), fresh),
		)

	def _each(self, names: Sequence[str], work: Callable[[str, bool], Any]) -> dict[str, Exception]:
		"""Do something with each document, or undo it for this one alone and return why."""
		errors: dict[str, Exception] = {}
		for name in names:
			if error := self._undone(name, name, partial(work, name)):
				errors[name] = error
		return errors

	def _undone(self, name: str | None, external_id: str, work: Callable[[bool], Any]) -> Exception | None:
		"""Do something with a document; return what it failed with, undone for this one alone.

		work: gets True if it has to read the document as it is now, since a user has saved it meanwhile.
		Raises what undoes the whole transaction.
		"""
		for fresh in (False, True, True):
			try:
				with (
					attempt(self.runtime.db.is_transient) as tried,
					self.runtime.db.savepoint(),
					without_gravatar(),
				):
					work(fresh)
			finally:
				# Frappe empties this only on a commit, and inserts never do: it is scanned on each save.
				frappe.flags.currently_saving = []
			if not tried.error:
				return None
			failure = explained(tried.error, self.doctype, name)
			if not isinstance(tried.error, frappe.TimestampMismatchError):
				return failure
		if external_id not in self._begun_again:
			# A controller saves another document, which the snapshot does not show as it is: one that is new does.
			self._begun_again.add(external_id)
			raise Outdated(str(failure))
		return failure


class FrappeBulkTarget(BulkTarget):
	"""Rows of one DocType: of one that is safe for it, as far as the current user may write its documents.

	as_is: fields whose text is stored as it comes; all others are cleaned as a Document cleans them.
	"""

	def __init__(self, runtime: Any, doctype: str, fields: Fields, as_is: Iterable[str] = ()) -> None:
		super().__init__(runtime, doctype, fields)
		self.as_is = frozenset(as_is)
		self._safe: dict[
			tuple[str, ...], float
		] = {}  # tables → until when they need not be asked about again

	def write(self, changes: Sequence[Change]) -> list[Written]:
		"""Clean the text of the records that the user may write, and write them in bulk."""
		if not changes:
			return []
		fields = {name for change in changes for name in change.values}
		self._refuse_unsafe(fields & self._tables.keys())
		refusals = self._refusals(changes, fields)
		good = [
			replace(change, values=sanitize_record(self.doctype, change.values, self.as_is))
			if may_hold_markup(change.values)
			else change
			for change, refusal in zip(changes, refusals, strict=True)
			if not refusal
		]
		if frappe.db.db_type == "sqlite":
			keep_name_unique(self.doctype)  # each time, for a rollback undoes it
		outcomes = super().write(good)
		self._note(good, outcomes)
		written = iter(outcomes)
		return [Written(None, refusal) if refusal else next(written) for refusal in refusals]

	def _note(self, changes: Sequence[Change], outcomes: Sequence[Written]) -> None:
		"""Note what was written for outbound streams, which hear of it by no hook."""
		pairs = list(zip(changes, outcomes, strict=True))
		for operation, known in (("created", False), ("updated", True)):
			names = [done.name for change, done in pairs if done.name and bool(change.name) is known]
			note_rows(self.doctype, names, operation)

	def foresee(self, changes: Sequence[Change], eyes: Target, user: str) -> list[Foreseen]:
		"""Return what `write` would do, refusals of the user's permissions included."""
		fields = {name for change in changes for name in change.values}
		self._refuse_unsafe(fields & self._tables.keys())
		with self.runtime.become(user):
			refusals = self._refusals(changes, fields)
		as_written = [
			replace(change, values=sanitize_record(self.doctype, change.values, self.as_is))
			for change in changes
		]
		found = super().foresee(as_written, eyes, user)
		for refusal, one in zip(refusals, found, strict=True):
			one.error = refusal or one.error
		return found

	def _defaults(self, fields: Sequence[str]) -> dict[str, Any]:
		if frappe.db.db_type != "sqlite":
			return {}
		# A table that Frappe has made again has no defaults (see runtime.frappe.indexes), and Frappe finds no NULL.
		numbers = [name for name, field in self.fields().items() if field.kind in NUMERIC]
		return {name: 0 for name in ("docstatus", "idx", *numbers) if name not in fields}

	def delete(self, names: Sequence[str]) -> dict[str, Exception]:
		"""Delete the documents that the user may delete and nothing links to; return the errors by name."""
		self._refuse_unsafe()
		errors = self._kept(names)
		errors |= super().delete([name for name in names if name not in errors])
		note_rows(self.doctype, [name for name in names if name not in errors], "deleted")
		return errors

	def foresee_removal(self, names: Sequence[str], user: str) -> dict[str, Foreseen]:
		"""Return what `delete` would refuse, by name."""
		self._refuse_unsafe()
		with self.runtime.become(user):
			return foreseen(self._kept(names))

	def _kept(self, names: Sequence[str]) -> dict[str, Exception]:
		"""Return why documents may not or cannot be deleted."""
		errors = self._refused_among(names, "delete")
		return {**errors, **kept(self.doctype, [name for name in names if name not in errors])}

	def set_value(self, names: Sequence[str], field: str, value: Any) -> dict[str, Exception]:
		"""Set one field, cleaned, of the documents that the user may write; return the errors by name."""
		self._refuse_unsafe()
		if refused := self._level_refused([field]):
			return dict.fromkeys(names, refused)
		errors = self._refused_among(names, "write")
		value = sanitize(self.doctype, {field: value})[field]
		errors |= super().set_value([name for name in names if name not in errors], field, value)
		note_rows(self.doctype, [name for name in names if name not in errors], "updated")
		return errors

	def _refuse_unsafe(self, tables: Iterable[str] = ()) -> None:
		"""Raise HubError where the DocType is no longer one that is written in bulk: it may have changed since."""
		asked, now = tuple(sorted(tables)), time.monotonic()
		if self._safe.get(asked, 0) > now:
			return
		self._safe[asked] = now + LONG_ENOUGH
		if problem := bulk_problem(self.doctype, asked):
			self._safe.clear()
			raise HubError(not_in_bulk(problem), doctype="DocType", name=self.doctype)

	def _refusals(self, changes: Sequence[Change], fields: Iterable[str]) -> list[Exception | None]:
		"""Return why the current user may not write each change, None where they may."""
		inner = [
			f"{name}.{child}" for name in fields if name in self._tables for child in _columns(changes, name)
		]
		if refused := self._level_refused([*fields, *inner]):
			return [refused] * len(changes)
		whole = {kind: self._refused(kind) for kind in ("create", "write")}
		each = {kind: depends_on_document(self.doctype, kind) for kind in ("create", "write")}
		urls, found = [name for name in url_fields(self.doctype) if name in fields], []
		for change in changes:
			kind = "write" if change.name else "create"
			error = self._document_refused(change, kind) if each[kind] else whole[kind]
			found.append(error or (bad_link(self.doctype, urls, change.values) if urls else None))
		return found

	def _document_refused(self, change: Change, kind: str) -> Exception | None:
		"""Return why the current user may not write a document, as it is or as it would be."""
		if change.name:
			doc = frappe.get_doc(self.doctype, change.name)
			if error := refused(doc, kind):
				return error
		else:
			doc = frappe.get_doc({"doctype": self.doctype, "owner": frappe.session.user})
		doc.update(copied(change.values))
		return refused(doc, kind)

	def _refused_among(self, names: Sequence[str], kind: str) -> dict[str, Exception]:
		if not depends_on_document(self.doctype, kind):
			error = self._refused(kind)
			return dict.fromkeys(names, error) if error else {}
		there = existing_names(self.runtime.db, self.doctype, list(names))
		found = {name: refused(frappe.get_doc(self.doctype, name), kind) for name in names if name in there}
		return {name: error for name, error in found.items() if error}

	def _refused(self, kind: str) -> Exception | None:
		if depends_on_document(self.doctype, kind) or frappe.has_permission(self.doctype, kind):
			return None
		return frappe.PermissionError(f"{frappe.session.user} may not {kind} {self.doctype}")

	def _level_refused(self, paths: Iterable[str]) -> Exception | None:
		for path, level in refused_levels(self.doctype, paths):
			return frappe.PermissionError(level_sentence(self.doctype, path, level, frappe.session.user))
		return None


def not_in_bulk(problem: str) -> str:
	"""Return the message on a DocType that Bulk does not write."""
	return f"is not written in Bulk: {problem}. Use Documents"


def _columns(changes: Sequence[Change], table: str) -> set[str]:
	return {name for change in changes for row in change.values.get(table) or () for name in row}


def doctype_fields(doctype: str) -> Fields:
	"""Return the fields of a DocType that a stream can write; empty if the DocType does not exist.

	Raises HubError for a DocType that holds no list of documents.
	"""
	if not doctype or not frappe.db.exists("DocType", doctype):
		return {}
	meta = frappe.get_meta(doctype)
	for property, what in (("issingle", "a Single"), ("istable", "a child table"), ("is_virtual", "virtual")):
		if meta.get(property):
			raise HubError(
				f"is {what}; a stream writes to a list of documents", doctype="DocType", name=doctype
			)
	tables = {df.options for df in meta.fields if df.fieldtype in TABLES}
	children = {name: fields_of(df.as_dict() for df in frappe.get_meta(name).fields) for name in tables}
	return fields_of((df.as_dict() for df in meta.fields), children)
