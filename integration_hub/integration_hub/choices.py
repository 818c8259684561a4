"""Names that fields of the settings may have: built in, and registered by other apps."""

from __future__ import annotations

from typing import Any

import frappe

from integration_hub.connectors.registry import BUILT_IN
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.webhooks.presets import unread
from integration_hub.webhooks.schemes import SCHEMES, record_path_of


def choices() -> dict[str, list[str]]:
	"""Return the names by field."""
	runtime = FrappeRuntime()
	return {
		"connector": [*BUILT_IN, *runtime.connectors()],
		"webhook_scheme": [*SCHEMES, *runtime.schemes()],
		"handler": list(runtime.handlers()),
	}


def boot(bootinfo: Any) -> None:
	"""Give Desk the choices with its first answer: a Select has to know its options before it is drawn.

	record_paths: what a new route has as Record Path, by scheme; unread: settings that do
	nothing under a scheme. unused: fields of a stream that do nothing, and usual:
	values that its fields have, by connector.
	"""
	if not frappe.has_permission("Integration Settings", "read"):
		return
	found: dict[str, Any] = choices()
	schemes = FrappeRuntime().schemes()
	found["record_paths"] = {name: record_path_of(name, schemes) for name in found["webhook_scheme"]}
	found["unread"] = {name: sorted(unread(name)) for name in SCHEMES}
	found["unused"] = {name: sorted(plain.unused) for name, (plain, _) in BUILT_IN.items()}
	found["usual"] = {name: dict(plain.usual) for name, (plain, _) in BUILT_IN.items()}
	bootinfo.integration_hub = found
