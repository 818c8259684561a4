"""Functions of apps that make one document from another: which are allowed, and how they are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import frappe
from frappe.model.document import Document

from integration_hub.stores.runtime import HubError

HOOK = "integration_hub_mappers"
_NAME = ("source_name", "dn", "docname", "name")
_DOCTYPE = ("dt", "doctype", "source_doctype")


def allowed_mappers() -> frozenset[str]:
	"""Return the functions that may make documents: those of site_config.json, and those that apps name in hooks.py."""
	listed = frappe.conf.get(HOOK) or []
	return frozenset([*([listed] if isinstance(listed, str) else listed), *frappe.get_hooks(HOOK)])


def mapper_problem(path: str) -> str:
	"""Return why a function cannot make documents from others, "" if it can."""
	if path not in allowed_mappers():
		return f"{path} is not allowed: {HOOK} in site_config.json names the functions that are"
	try:
		function = frappe.get_attr(path)
	except (ImportError, AttributeError, ValueError, frappe.ValidationError) as error:
		return f"there is no function {path} on this site ({type(error).__name__})"
	if not callable(function) or function not in frappe.whitelisted:
		return f"{path} is not whitelisted"
	needed = [name for name in _needed(function) if name not in (*_NAME, *_DOCTYPE)]
	return f"{path} needs more than a document: {', '.join(needed)}" if needed else ""


def made(path: str, origin: tuple[str, str], doctype: str) -> Document:
	"""Return a new document that a function makes of another. Raises HubError where it may not, or makes another thing."""
	if problem := mapper_problem(path):
		raise HubError(problem, doctype="DocType", name=doctype)
	function = frappe.get_attr(path)
	doc = function(**_arguments(function, origin))
	if not isinstance(doc, Document) or doc.doctype != doctype or not doc.is_new():
		raise HubError(
			f"{path} makes no new {doctype} of {' '.join(origin)}", doctype="DocType", name=doctype
		)
	return doc


def _arguments(function: Callable[..., Any], origin: tuple[str, str]) -> dict[str, str]:
	names = inspect.signature(function).parameters
	doctype = {name: origin[0] for name in _DOCTYPE if name in names}
	return {**doctype, **{name: origin[1] for name in _NAME if name in names}}


def _needed(function: Callable[..., Any]) -> list[str]:
	kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
	given = inspect.signature(function).parameters.values()
	return [one.name for one in given if one.default is one.empty and one.kind not in kinds]
