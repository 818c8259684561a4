"""The check of what the app uses of Frappe, on a small tree that stands for a checkout of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.frappe_api.__main__ import main

FRAPPE = {
	"frappe/__init__.py": """
from frappe.exceptions import *
from frappe.utils.data import flt
from .query import get_all as get_list
local = object()
db = local("db")
def throw(msg, exc=None, title=None, *, wide=None): ...
def enqueue(method, queue="default", **kwargs): ...
if TYPE_CHECKING:
	from frappe.database.database import Database
""",
	"frappe/query.py": "def get_all(doctype, filters=None, fields=None, **kwargs): ...",
	"frappe/exceptions.py": "class ValidationError(Exception): ...",
	"frappe/utils/__init__.py": "from frappe.utils.data import *",
	"frappe/utils/data.py": "def flt(value, precision=None): ...\ndef get_url_to_form(doctype, name): ...",
	"frappe/utils/boilerplate.py": 'HOOKS = """\napp_name = x\n# doc_events = {}\n"""',
	"frappe/database/database.py": """
class Database:
	def __init__(self):
		self._cursor = None
	def set_value(self, dt, dn, field, value=None, update_modified=True): ...
	def has_column(self, doctype, column): ...
	@staticmethod
	def escape(s, percent=True): ...
""",
	"frappe/database/mariadb/database.py": """
from frappe.database.database import Database
class MariaDBDatabase(Database):
	def only_here(self): ...
""",
	"frappe/database/sqlite/database.py": """
from frappe.database.database import Database
class SQLiteDatabase(Database): ...
""",
	"frappe/utils/redis_wrapper.py": "import redis\nclass RedisWrapper(redis.Redis):\n\tdef get_value(self, key): ...",
	"frappe/model/document.py": """
class Document:
	def save(self, ignore_permissions=None): self.run_method("validate")
	def insert(self): ...
""",
	"frappe/core/doctype/role/role.json": json.dumps(
		{
			"fields": [
				{"fieldname": "role_name", "fieldtype": "Data"},
				{"fieldname": "kind", "fieldtype": "Select", "options": "A\nB"},
			]
		}
	),
	"frappe/public/js/frappe/ui/form.js": """
frappe.provide("frappe.router");
frappe.ui.form.on = function () {};
Object.assign(frappe.router, { make_url(params) {} });
frappe.ui.form.Form = class { add_custom_button(label) {} };
""",
	"frappe/public/js/frappe/form/form.js": "frappe.ui.form.Form = class { set_intro(text) {} };",
	"pyproject.toml": '[project]\ndependencies = [\n\t"redis~=7.1.0",\n\t"rq==2.6.1",\n]\n',
}
APP = {
	"hub/__init__.py": "",
	"hub/hooks.py": 'app_name = "hub"\n',
	"pyproject.toml": '[project]\ndependencies = [\n\t"redis>=4.5.5,<8",\n\t"requests>=2",\n]\n',
}


@pytest.fixture
def said(tmp_path, capsys):
	"""Return what the check says of an app's file, and what it ends with."""

	def say(
		files: dict[str, str], frappe: dict[str, str | None] | None = None, *options: str
	) -> tuple[list[str], int]:
		_write(tmp_path / "checkout", FRAPPE | (frappe or {}))
		_write(tmp_path / "app", APP | files)
		code = main([str(tmp_path / "checkout"), "--app", str(tmp_path / "app/hub"), *options])
		return capsys.readouterr().out.splitlines()[:-1], code

	return say


def _write(root: Path, files: dict[str, str | None]) -> None:
	for name, text in files.items():
		if text is not None:
			(root / name).parent.mkdir(parents=True, exist_ok=True)
			(root / name).write_text(text)


GOOD = [
	"import frappe\nfrappe.throw('x', title='y', wide=True)",
	"import frappe as f\nf.utils.get_url_to_form('A', 'b')",
	"from frappe.utils import flt as number\nnumber(1, precision=2)",
	"import frappe\nfrappe.enqueue('x', job_id='y')",
	"import frappe\nfrappe.db.set_value('Role', 'x', 'role_name', 'y', update_modified=False)\nfrappe.db._cursor.execute('x')",
	"import frappe\nfrappe.db.escape('x', percent=False)",
	"import frappe\nfrappe.cache.lock('x')",  # redis's own
	"import frappe\nfrappe.throw(*words, **more)",
	"import frappe\nraise frappe.ValidationError",
	"import frappe\nfrappe.get_list('Role', filters={'role_name': 'x'}, fields=['name', 'kind'])",
	"try:\n\tfrom frappe.tests import New\nexcept ImportError:\n\tNew = None",
	"import frappe\nx = frappe.newer() if hasattr(frappe, 'newer') else None",
	"import frappe\ndef f():\n\tif frappe.db.has_column('Role', 'new'):\n\t\tfrappe.get_list('Role', pluck='new')",
	"import frappe\ndef f(frappe):\n\tfrappe.not_the_module()",
]
BAD = [
	("import frappe\nfrappe.gone()", "frappe.gone is not there"),
	("from frappe.utils import gone", "frappe.utils.gone is not there"),
	("from frappe.gone import x", "frappe.gone.x is not there"),
	("import frappe.gone", "frappe.gone is not there"),
	("import frappe\nfrappe.throw('x', 'y', 'z', 'w')", "frappe.throw takes 3 positional arguments, not 4"),
	("import frappe\nfrappe.throw('x', tone='y')", "frappe.throw has no argument tone"),
	(
		"from frappe.utils import get_url_to_form\nget_url_to_form('A')",
		"frappe.utils.get_url_to_form needs name",
	),
	("import frappe\nfrappe.db.only_here()", "frappe.db.only_here is not there"),  # not of every database
	("import frappe\nfrappe.db.escape('x', 1, 2)", "frappe.db.escape takes 2 positional arguments, not 3"),
	("import frappe\nfrappe.get_list('Rôle')", "there is no DocType Rôle"),
	("import frappe\nfrappe.get_list('Role', filters={'gone': 1})", "DocType Role has no gone"),
	("import frappe\nfrappe.get_list('Role', pluck='gone')", "DocType Role has no gone"),
	("import frappe\nx = {'doctype': 'Role', 'gone': 1}", "DocType Role has no gone"),
	("try:\n\timport frappe.gone\nexcept ValueError:\n\tpass", "frappe.gone is not there"),
]


@pytest.mark.parametrize("text", GOOD)
def test_what_is_there_is_not_reported(said, text):
	assert said({"hub/api.py": text}) == ([], 0)


@pytest.mark.parametrize(("text", "sentence"), BAD)
def test_what_is_missing_or_differs_is_reported_with_its_place(said, text, sentence):
	lines, code = said({"hub/api.py": text})
	assert code == 1
	assert [line.split(": ", 1)[1] for line in lines] == [sentence]
	assert lines[0].startswith("hub/api.py:")


def test_a_controller_uses_what_document_has_and_defines_what_it_calls(said):
	doctype = {"hub/doctype/thing/thing.json": json.dumps({"fields": [{"fieldname": "title"}]})}
	head = "from frappe.model.document import Document\nclass Thing(Document):\n"
	good = (
		head
		+ "\tdef validate(self):\n\t\tself.save()\n\t\tself.mine(self.title, self.name)\n\tdef mine(self, *a): ..."
	)
	assert said({**doctype, "hub/doctype/thing/thing.py": good}) == ([], 0)
	bad = head + "\tdef before_naming(self):\n\t\tself.gone()"
	lines, code = said({**doctype, "hub/doctype/thing/thing.py": bad})
	assert code == 1
	assert [line.split(": ", 1)[1] for line in lines] == [
		"Document has no gone",
		"nothing calls before_naming of a document",
	]


SCRIPTS = [
	("frappe.ui.form.on('A', {}); frappe.router.make_url(['x']);", []),
	("// frappe.gone()", []),
	("frm.set_intro('x'); frm.add_custom_button('x');", []),
	("frappe.boot.hub.flag;", []),
	("frappe.boot.gone;", ["frappe.boot.gone is not in Frappe's scripts"]),
	("frappe.router.gone()", ["frappe.router.gone is not in Frappe's scripts"]),
	("frm.gone('x')", ["frm.gone is not in Frappe's scripts"]),
	("frappe.ui.form.on('A', 'frappe.utils.data.flt')", []),
	("frappe.ui.form.on('A', 'frappe.utils.data.gone')", ["frappe.utils.data.gone is not there"]),
]


@pytest.mark.parametrize(("text", "sentences"), SCRIPTS)
def test_scripts_for_the_browser_are_read_too(said, text, sentences):
	lines, code = said({"hub/public/js/hub.js": text})
	assert ([line.split(": ", 1)[1] for line in lines], code) == (sentences, int(bool(sentences)))


def test_a_document_is_held_against_its_doctype(said):
	lines, code = said(
		{"hub/role/r.json": json.dumps({"doctype": "Role", "kind": "C", "newer": 1})}, None, "--notes"
	)
	assert code == 1
	assert lines == ["hub/role/r.json:1: kind knows no 'C'", "hub/role/r.json: Role has no newer"]


def test_a_document_sets_what_would_have_a_default(said):
	fields = [{"fieldname": "mode", "fieldtype": "Select", "options": "A\nB", "default": "A"}]
	core = {"frappe/core/doctype/rule/rule.json": json.dumps({"fields": fields})}
	assert said({"hub/r.json": json.dumps({"doctype": "Rule", "mode": "A"})}, core) == ([], 0)
	assert said({"hub/r.json": json.dumps({"doctype": "Rule"})}, core) == (
		["hub/r.json:1: mode is left out, and would be 'A' by default"],
		1,
	)


def test_what_a_version_does_without_is_a_note(said):
	files = {
		"hub/side/s.json": json.dumps({"doctype": "Side"}),
		"hub/hooks.py": "app_name = 'x'\nnewer_hook = 'y'\n",
	}
	assert said(files) == ([], 0)
	assert said(files, None, "--notes") == (
		["hub/side/s.json: there is no Side", "hub/hooks.py: no hook newer_hook"],
		0,
	)


@pytest.mark.parametrize(
	("ours", "theirs", "fits"),
	[
		("redis>=4.5.5,<6", "redis~=7.1.0", False),
		("redis>=4.5.5,<8", "redis~=7.1.0", True),
		("redis>=4.5.5,<8", "redis~=4.5.5", True),
		("redis>=5", "redis~=4.5.5", False),
		("Werkzeug>=3.0.1,<4", "werkzeug==3.1.5", True),
		("cryptography~=43.0", "cryptography~=46.0.3", False),
		("click>=8.1.7,<9", "Click~=8.3.1", True),
	],
)
def test_the_ranges_of_the_app_admit_what_frappe_pins(said, ours, theirs, fits):
	lines, code = said(
		{"pyproject.toml": f'[project]\ndependencies = [\n\t"{ours}",\n]\n'},
		{"pyproject.toml": f'[project]\ndependencies = [\n\t"{theirs}",\n]\n'},
	)
	assert (not lines, code) == (fits, int(not fits))


def test_a_folder_without_frappe_is_said_to_be_none(tmp_path, capsys):
	assert main([str(tmp_path)]) == 2
	assert "holds no frappe package" in capsys.readouterr().out


def test_sources_that_are_too_new_for_this_python_are_said_to_be(said):
	lines, code = said({"hub/api.py": "import frappe\nfrappe.x()"}, {"frappe/__init__.py": "def class"})
	assert code == 2
