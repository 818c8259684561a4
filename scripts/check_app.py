"""Check what no linter knows of: the doctype JSON files and the dotted paths that Frappe will follow.

Works without Frappe: paths are resolved in the source, nothing is imported. Exits 1 and says what is wrong.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
APP = ROOT / "integration_hub"
DOCTYPES = APP / "integration_hub" / "doctype"
_PATH = re.compile(r"integration_hub(\.[a-z_][a-zA-Z0-9_]*)+")
_DESK = re.compile(r"""["`(']/app/[a-z]""")
_VARCHARS = {"Data", "Select", "Link", "Dynamic Link"}
_TEXTS = {"Small Text", "Text", "Code", "Long Text", "JSON", "Password"}
MOST_OF_PAGE = 7_500  # bytes of a row within its page
MOST_BYTES = 62_000  # of a row; the rest is for the fields that a site adds
_LAYOUT = {"Section Break", "Column Break", "Tab Break"}


def problems() -> Iterator[str]:
	doctypes = {path: json.loads(path.read_text()) for path in sorted(DOCTYPES.glob("*/*.json"))}
	names = {doctype["name"] for doctype in doctypes.values()}
	for path, doctype in doctypes.items():
		for sentence in doctype_problems(path, doctype, names):
			yield f"{path.relative_to(ROOT)}: {sentence}"
	for path in [APP / "hooks.py", *sorted(APP.rglob("*.py")), *sorted(APP.rglob("*.js"))]:
		for dotted in dotted_paths(path):
			if not resolves(dotted):
				yield f"{path.relative_to(ROOT)}: {dotted} leads nowhere"
		if path.name != "hooks.py" and "tests" not in path.parts and _DESK.search(path.read_text()):
			yield f"{path.relative_to(ROOT)}: Desk is at /desk on v16: frappe.router.make_url or get_url_to_form know it"
	for dotted in (APP / "patches.txt").read_text().split():
		if not dotted.startswith("[") and not module_file(dotted):
			yield f"patches.txt: {dotted} leads nowhere"


def doctype_problems(path: Path, doctype: dict, names: set[str]) -> Iterator[str]:
	folder = path.parent.name
	if path.stem != folder or folder != doctype["name"].lower().replace(" ", "_"):
		yield "file, folder and name do not agree"
	fieldnames = [field["fieldname"] for field in doctype["fields"]]
	if doctype.get("field_order") != fieldnames:
		yield "field_order is not the order of the fields"
	if (size := row_size(doctype)) > MOST_BYTES:
		yield f"a row may have {size} bytes, more than {MOST_BYTES}: give texts a length, or make them Small Text"
	if (size := page_size(doctype)) > MOST_OF_PAGE:
		yield f"a row may have {size} bytes within its page, more than {MOST_OF_PAGE}: give texts a length of 64 or more"
	if len(set(fieldnames)) != len(fieldnames):
		yield "a fieldname occurs twice"
	if not doctype.get("istable") and not any(
		p["role"] == "Integration Viewer" for p in doctype["permissions"]
	):
		yield "Integration Viewer has no permission"
	for field in doctype["fields"]:
		if field["fieldtype"] not in _LAYOUT and not field.get("label"):
			yield f"{field['fieldname']} has no label"
		if field["fieldtype"] == "Table" and field["options"] not in names:
			yield f"{field['fieldname']}: {field['options']} is no doctype of this app"
		if (
			field["fieldtype"] == "Select"
			and field.get("default")
			and field["default"] not in field["options"].split("\n")
		):
			yield f"{field['fieldname']}: the default is not one of the options"
	controller = path.with_suffix(".py")
	wanted = doctype["name"].replace(" ", "")
	if not controller.exists() or f"class {wanted}(" not in controller.read_text():
		yield f"{controller.name} does not define class {wanted}"


def row_size(doctype: dict) -> int:
	"""Return the bytes that a row may have on MariaDB, which refuses a table of more than 65,535: texts of a length count
	whole, four bytes a character.
	"""
	texts = [field for field in doctype["fields"] if field["fieldtype"] in _VARCHARS]
	lengths = [int(field.get("length") or 140) for field in texts] + [140] * 3  # name, owner, modified_by
	return sum(4 * length + 2 for length in lengths) + 8 * (len(doctype["fields"]) - len(texts))


def page_size(doctype: dict) -> int:
	"""Return the bytes of a row that InnoDB wants within a page, which are 8,126 at most (row format Dynamic).

	Texts of less than 64 characters, 256 bytes, count whole; 40 bytes of a longer one, as the rest may go elsewhere.
	"""
	lengths = [4 * int(f.get("length") or 140) for f in doctype["fields"] if f["fieldtype"] in _VARCHARS]
	inside = sum(length + 1 if length < 256 else 40 for length in [*lengths, *[560] * 3])
	return inside + 40 * sum(field["fieldtype"] in _TEXTS for field in doctype["fields"])


def dotted_paths(path: Path) -> Iterator[str]:
	"""Return the dotted paths into this app that stand in string literals."""
	text = path.read_text()
	if path.suffix == ".js":
		yield from (m.group(0) for m in re.finditer(_PATH.pattern, text) if ".api." in m.group(0))
		return
	for node in ast.walk(ast.parse(text)):
		if isinstance(node, ast.Constant) and isinstance(node.value, str) and _PATH.fullmatch(node.value):
			yield node.value


def resolves(dotted: str) -> bool:
	"""Tell whether a dotted path names a module of this app, or something defined in one, or a bundle of JavaScript."""
	if (
		dotted.startswith("integration_hub.")
		and dotted.split(".")[1] in ("webhooks", "queues")
		and dotted.count(".") == 1
	):
		return True  # a logger's name
	if dotted.endswith(".bundle.js"):
		return (APP / "public/js" / dotted).exists()
	if module_file(dotted):
		return True
	module, _, name = dotted.rpartition(".")
	file = module_file(module)
	if not file:
		return False
	body = ast.parse(file.read_text()).body
	defined = {n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
	defined |= {t.id for n in body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
	# What a package collects from its own modules is defined there: whether it is, the import itself says.
	defined |= {
		a.asname or a.name
		for n in body
		if isinstance(n, ast.ImportFrom)
		for a in n.names
		if _is_own(n, module)
	}
	return name in defined


def _is_own(node: ast.ImportFrom, package: str) -> bool:
	"""Tell whether an import is from a module of the package itself."""
	return (node.module or "").startswith(f"{package}.")


def module_file(dotted: str) -> Path | None:
	base = ROOT.joinpath(*dotted.split("."))
	return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.exists()), None)


if __name__ == "__main__":
	found = list(problems())
	print("\n".join(found) or "doctypes and dotted paths: ok")
	sys.exit(bool(found))
