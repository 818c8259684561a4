"""Comparing a target table with the sandbox's own data."""

from __future__ import annotations

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.example import FIELDS, TABLES


def table(runtime: StandaloneRuntime, kind: str) -> list[dict]:
	columns = ", ".join(f"`{name}`" for name in FIELDS)
	return runtime.db.query(f"SELECT {columns} FROM `tab{TABLES[kind]}` ORDER BY `customer_id`")


def source(crm: Sandbox) -> list[dict]:
	rows = [{ours: row[theirs] for ours, theirs in FIELDS.items()} for row in crm.customers.alive()]
	return [{**row, "active": int(row["active"])} for row in rows]


def errors(runtime: StandaloneRuntime) -> list[dict]:
	return runtime.db.query("SELECT * FROM `tabIntegration Error Log` ORDER BY `name`")
