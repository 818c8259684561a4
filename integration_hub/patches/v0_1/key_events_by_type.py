"""Key events by their type, too: those that came before have to be recognized when they are sent again."""

from integration_hub.runtime.frappe.database import FrappeDatabase
from integration_hub.stores.rekey_events import rekey


def execute() -> None:
	"""Give the events that are there the keys they would have now."""
	rekey(FrappeDatabase())
