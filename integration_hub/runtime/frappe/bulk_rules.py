"""Rules for bulk: it may write DocTypes whose rows mean nothing to any code but their own Documents' fields.

Bulk runs no controller, no event, no workflow. Where there is one, a row that is written past it may be anything that
Frappe, or an app, then trusts: a script, a role, a template. So what a DocType is decides, and no list of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import frappe
from frappe.model.base_document import get_controller
from frappe.model.document import Document
from frappe.model.meta import Meta

from integration_hub.runtime.frappe.outbox_rows import sends_events

HOOK = "integration_hub_bulk_doctypes"
# What every class has, and type annotations; whatever else stands in a controller is its business.
_OF_ANY_CLASS = frozenset(vars(type("Empty", (), {"__annotations__": {}}))) | {
	"__annotate__",
	"__annotate_func__",
	"__annotations_cache__",
	"__firstlineno__",
	"__orig_bases__",
	"__static_attributes__",
}
# Events of all DocTypes that do nothing but where a DocType has been set up for it, which Bulk refuses by itself.
_PASSING = (
	"frappe.",
	"integration_hub.runtime.frappe.outbox.",  # Bulk notes its changes itself
	"erpnext.setup.doctype.transaction_deletion_record.",
	"erpnext.support.doctype.service_level_agreement.",
)


def bulk_problem(doctype: str, tables: Iterable[str] = ()) -> str:
	"""Return why a DocType is not written in bulk, "" if it may be.

	tables: the table fields that are written with it.
	"""
	meta = frappe.get_meta(doctype)
	problems = _of_kind(meta)
	if not _is_named(meta):
		problems = (*problems, *_of_code(meta), *_of_settings(meta))
	for table in tables:
		child = frappe.get_meta(meta.get_field(table).options)
		inner = (*_of_owner(child), *(() if _is_named(child) else _of_code(child)))
		problems = (*problems, *(f"its table {table}: {problem}" for problem in inner))
	return next(iter(problems), "")


def code_of(doctype: str) -> str:
	"""Return what code takes part when a document of a DocType is saved, "" if there is none."""
	meta = frappe.get_meta(doctype)
	return next(iter((*_of_code(meta), *_of_settings(meta))), "")


def not_told(doctype: str) -> list[str]:
	"""Return what waits for saves of a DocType, and hears nothing of Bulk: doctype and name of each."""
	found = []
	for kind, filters in (
		("Notification", {"document_type": doctype, "enabled": 1}),
		("Webhook", {"webhook_doctype": doctype, "enabled": 1}),
		("Assignment Rule", {"document_type": doctype, "disabled": 0}),
	):
		found += [f"{kind} {name}" for name in frappe.get_all(kind, filters=filters, pluck="name")]
	return found


def _of_kind(meta: Meta) -> tuple[str, ...]:
	"""Return what of a DocType itself forbids Bulk, also where a hook or site_config names it."""
	found = list(_of_owner(meta))
	if meta.is_submittable:
		found.append("its documents are submitted")
	if meta.get("is_tree"):
		found.append("its documents are a tree")
	if stream := sends_events(meta.name):
		found.append(f"the stream {stream} sends each of its changes as an event")
	if meta.has_web_view or meta.get("allow_guest_to_view"):
		found.append("its documents are web pages")
	return tuple(found)


def _of_owner(meta: Meta) -> Iterator[str]:
	if _app(meta) == "frappe":
		yield "it is one of Frappe's own"


def _of_code(meta: Meta) -> Iterator[str]:
	"""Return what code waits for documents of a DocType."""
	if not _has_plain_controller(meta.name) or meta.name in frappe.get_hooks("extend_doctype_class"):
		yield "it has a controller of its own"
	hooks = frappe.get_doc_hooks()
	for handlers in (hooks.get(meta.name) or {}).values():
		if handlers:
			yield f"its events are handled by {handlers[0]}"
	for handlers in (hooks.get("*") or {}).values():
		for handler in handlers:
			if not handler.startswith(_PASSING):
				yield f"the events of all DocTypes are handled by {handler}"


def _of_settings(meta: Meta) -> Iterator[str]:
	"""Return what people have set up that decides about documents of a DocType."""
	for kind, filters in (
		("Workflow", {"document_type": meta.name, "is_active": 1}),
		("Server Script", {"reference_doctype": meta.name, "script_type": "DocType Event", "disabled": 0}),
		("Service Level Agreement", {"document_type": meta.name, "enabled": 1}),  # of ERPNext
	):
		if frappe.db.exists("DocType", kind, cache=True) and (name := frappe.db.exists(kind, filters)):
			yield f"{kind} {name} is for it"


def _has_plain_controller(doctype: str) -> bool:
	"""Tell whether a DocType's class, with what hooks make of it, adds nothing to Document."""
	try:
		classes = get_controller(doctype).__mro__
	except ImportError:
		return False
	own = classes[: classes.index(Document)] if Document in classes else classes
	return Document in classes and all(set(vars(part)) <= _OF_ANY_CLASS for part in own)


def _app(meta: Meta) -> str:
	"""Return the app that a DocType belongs to, "" for one that people have made."""
	if meta.custom:
		return ""
	return frappe.db.get_value("Module Def", meta.module, "app_name", cache=True) or "frappe"


def _is_named(meta: Meta) -> bool:
	"""Tell whether the app of a DocType, or the site's operator, says that Bulk may write it past its code.

	`integration_hub_bulk_doctypes`, in an app's hooks.py for its own DocTypes, in site_config.json for any.
	"""
	names = frappe.conf.get(HOOK) or []
	app = _app(meta)
	for owner in [app] if app else frappe.get_installed_apps():
		names = [*names, *frappe.get_hooks(HOOK, app_name=owner)]
	return meta.name in names
