"""Streams against servers that others wrote: settings alone, record for record. `make test-servers` runs them.

PyPI and npm bring the servers, once; a test skips with a reason where they cannot be had.
"""
