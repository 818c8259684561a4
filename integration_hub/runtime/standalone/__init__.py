"""The home without a bench: one hub.toml, one SQLite file."""

from integration_hub.runtime.standalone.runtime import StandaloneRuntime

__all__ = ["StandaloneRuntime"]
