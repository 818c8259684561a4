"""An event's type is a part of what makes it one event now: what came before is to be known when it is sent again."""

from integration_hub.homes.site.database import SiteDatabase
from integration_hub.stores.rekey import rekey


def execute() -> None:
	"""Give the events that are there the keys they would have now."""
	rekey(SiteDatabase())
