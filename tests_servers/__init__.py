"""Streams against servers that others wrote: settings alone, record for record. `make test-servers` runs them."""
