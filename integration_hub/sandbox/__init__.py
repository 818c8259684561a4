"""A small external CRM to run everything against: the demo, the tests, the benchmarks, your connector."""

from integration_hub.sandbox.server import Sandbox

__all__ = ["Sandbox"]
