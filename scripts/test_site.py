"""Run the site tests on each bench: on a site made for the run, from install to a clean uninstall.

FRAPPE_BENCHES names the benches (paths, separated by colons or spaces); without it the usual places are
searched. SITE_DATABASES names the databases (mariadb, postgres, sqlite; separated by commas); without it MariaDB,
and SQLite where Frappe knows it.

FRAPPE_DB_ROOT_USERNAME and FRAPPE_DB_ROOT_PASSWORD are MariaDB's, where the script cannot make an administrator of
its own over the socket; FRAPPE_POSTGRES_ROOT_USERNAME and FRAPPE_POSTGRES_ROOT_PASSWORD are Postgres's. A bench
keeps everything else it has as it was.
"""

from __future__ import annotations

import json
import sys

from scripts.benches import APP, Bench, Failed, app_on, benches, redis_running, step, what_tests_need
from scripts.sites import databases_of, new_site
from scripts.test_upgrade import has_history, upgrade, upgrades_on


def test(bench: Bench, database: str) -> str:
	"""Make a site, test on it, take everything away again; return the test runner's last line."""
	with new_site(bench, database) as site:
		before = tables(bench, site)
		step("install", bench.frappe, "--site", site, "install-app", APP)
		step("migrate", bench.frappe, "--site", site, "migrate")
		with what_tests_need(bench) as environment:
			out = step("tests", bench.frappe, "--site", site, "run-tests", "--app", APP, **environment)
		step("uninstall", bench.frappe, "--site", site, "uninstall-app", APP, "--yes", "--no-backup")
		left = sorted(
			tables(bench, site)
			- before
			- {"tabSandbox Customer", "tabSandbox Customer Change", "tabSandbox Customer Feed"}
		)
		traces = bench.python("-c", _TRACES, site).strip().splitlines()[-1]
		if left or traces != "[]":
			raise Failed(f"uninstalling leaves behind: tables {left}, rows {traces}")
		print("  uninstall leaves nothing behind", flush=True)
	_check_passed(out)
	return result_line(out)


def _check_passed(out: str) -> None:
	"""Print the tests that failed, and raise Failed if there are any: v15's runner ends with 0 all the same."""
	lines = out.splitlines()
	if any(line.startswith("FAILED (") for line in lines):
		print("\n".join(line for line in lines if line.startswith(("FAIL:", "ERROR:"))), flush=True)
		raise Failed("the site's tests failed")


def compare(bench: Bench) -> str:
	"""Hold what the app uses of Frappe against the bench's sources; raises Failed for what is missing there."""
	place = bench.path / "apps" / APP
	return bench.python("-m", "scripts.frappe_api", str(bench.path / "apps/frappe"), PYTHONPATH=str(place))


# Rows that name the app or its module, after uninstalling.
_TRACES = """
import sys, frappe
frappe.init(site=sys.argv[1]); frappe.connect()
left = []
for doctype, filters in (
	("DocType", {"module": "Integration Hub"}), ("Module Def", {"app_name": "integration_hub"}),
	("Role", {"name": ["like", "Integration %"]}), ("Scheduled Job Type", {"method": ["like", "integration_hub.%"]}),
	("Workspace", {"module": "Integration Hub"}), ("Logs To Clear", {"ref_doctype": ["in", ["Webhook Log", "Sync Log"]]}),
	("Number Card", {"module": "Integration Hub"}), ("Dashboard Chart", {"module": "Integration Hub"}),
	("Dashboard Chart Source", {"module": "Integration Hub"}), ("Notification", {"module": "Integration Hub"}),
	("Notification Log", {"document_type": ["in", ["Integration Error Log", "Sync Log"]]}),
	("Has Role", {"role": ["like", "Integration %"]}), ("Custom Field", {"module": "Integration Hub"}),
):
	left += [f"{doctype} {name}" for name in frappe.get_all(doctype, filters=filters, pluck="name")]
if frappe.db.exists("DocType", "Workspace Sidebar"):  # v16
	for doctype in ("Workspace Sidebar", "Desktop Icon"):
		left += [f"{doctype} {name}" for name in frappe.get_all(doctype, filters={"app": "integration_hub"}, pluck="name")]
left += [str(r) for r in frappe.db.sql("SELECT `doctype`, `name` FROM `__Auth` WHERE `doctype` = 'Integration Settings'")]
print(left)
"""


def tables(bench: Bench, site: str) -> set[str]:
	code = "import sys, json, frappe; frappe.init(site=sys.argv[1]); frappe.connect(); print(json.dumps(frappe.db.get_tables(cached=False)))"
	return set(json.loads(bench.python("-c", code, site).strip().splitlines()[-1]))


def result_line(out: str) -> str:
	return next(
		(line.strip() for line in reversed(out.splitlines()) if line.startswith("Ran ")), "no tests ran"
	)


def main() -> int:
	found = benches()
	if "--list" in sys.argv:
		print("\n".join(str(bench.path) for bench in found))
		return 0
	if not found:
		print("test-site: no bench found; name them in FRAPPE_BENCHES")
		return 2
	results: list[tuple[str, str]] = []
	upgraded = False
	for bench in found:
		print(f"{bench.path} (Frappe {bench.version})", flush=True)
		try:
			databases = databases_of(bench)
			with redis_running(bench), app_on(bench):
				step("what is used of Frappe", compare, bench)
				for database in databases:
					print(f" {database}", flush=True)
					results.append((f"Frappe {bench.version} on {database}", test(bench, database)))
				if not upgraded and upgrades_on(bench) and "mariadb" in databases:
					print(" upgrade from the first release, on mariadb", flush=True)
					results.append((f"Upgrade on Frappe {bench.version}", upgrade(bench)))
					upgraded = True
		except Failed as error:
			print(f"test-site: FAILED on {bench.path}: {error}")
			return 1
	for name, line in results:
		print(f"{name}: {line}")
	if not results:
		print("test-site: none of the databases of SITE_DATABASES is known to a bench")
		return 2
	if not upgraded:
		print(
			f"The upgrade was not tested: {'no bench of v15 with MariaDB' if has_history() else 'no git history here'}."
		)
	print("test-site: ok")
	return 0


if __name__ == "__main__":
	sys.exit(main())
