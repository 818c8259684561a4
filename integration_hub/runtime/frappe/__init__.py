"""The home on a Frappe site. The only part of the engine's surroundings, below the face, that knows Frappe."""

from integration_hub.runtime.frappe.runtime import FrappeRuntime

__all__ = ["FrappeRuntime"]
