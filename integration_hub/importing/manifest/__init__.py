"""Airbyte low-code manifests: what they say, as integrations and streams.

`components` resolves the document, `expressions` computes its Jinja as far as it is constant, and a module for each
kind of component writes settings: `authentication`, `requests`, `paging`, `increments`, `partitions`, `records`,
`error_handlers`. `convert` puts them together.
"""
