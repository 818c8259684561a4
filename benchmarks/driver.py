"""The driver of the site's database by itself, for what is measured without Frappe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import frappe


def connector() -> tuple[Callable[[], Any], str]:
	"""Return what makes a connection of one's own, in any thread or process, and how the driver marks a parameter.

	The site is initialised, and need not be connected.
	"""
	conf = frappe._dict(frappe.conf)  # itself it is there in this thread alone
	kind = conf.db_type or "mariadb"
	if kind == "sqlite":
		import sqlite3

		file = frappe.get_site_path("db", f"{conf.db_name}.db")
		return lambda: sqlite3.connect(file, timeout=30), "?"
	name = {"host": conf.db_host or "127.0.0.1", "database": conf.db_name, "password": conf.db_password}
	user = conf.get("db_user") or conf.db_name
	if kind == "postgres":
		import psycopg2

		return lambda: psycopg2.connect(**name, user=user, port=conf.db_port or 5432), "%s"
	import pymysql

	return lambda: pymysql.connect(**name, user=user, port=int(conf.db_port or 3306)), "%s"
