"""The home on a Frappe site. The only part of the engine's surroundings, below the face, that knows Frappe."""

from integration_hub.homes.site.home import SiteHome

__all__ = ["SiteHome"]
