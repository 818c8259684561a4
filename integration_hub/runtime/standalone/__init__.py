"""The standalone runtime: one hub.toml, one SQLite file."""

from integration_hub.runtime.standalone.runtime import StandaloneRuntime

__all__ = ["StandaloneRuntime"]
