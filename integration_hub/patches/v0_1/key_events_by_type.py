"""An event's type is a part of what makes it one event now: what came before is to be known when it is sent again."""

from integration_hub.runtime.frappe.database import FrappeDatabase
from integration_hub.stores.rekey_events import rekey


def execute() -> None:
	"""Give the events that are there the keys they would have now."""
	rekey(FrappeDatabase())
