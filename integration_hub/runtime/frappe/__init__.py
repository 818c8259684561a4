"""The runtime on a Frappe site. The only part of the engine's surroundings, below the entry points, that knows Frappe."""

from integration_hub.runtime.frappe.runtime import FrappeRuntime

__all__ = ["FrappeRuntime"]
