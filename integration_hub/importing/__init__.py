"""Descriptions of APIs that other tools wrote, turned into settings: Airbyte manifests, OpenAPI documents.

What a description says is data from outside: it is read within bounds, never executed, and never called up.
"""
