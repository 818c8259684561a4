"""The home without a bench: one hub.toml, one SQLite file."""

from integration_hub.homes.file.home import FileHome

__all__ = ["FileHome"]
