"""What others sent is shown, and never run."""

from __future__ import annotations

from playwright.sync_api import expect

from tests_desk.desk import Desk

MARKUP = "<img src=x onerror"
# Show all texts of the DocType as columns of the report; return how many there are.
REPORT_OF_TEXTS = """async () => {
	const texts = cur_list.meta.fields.filter((df) => ["Data", "Small Text"].includes(df.fieldtype) && !df.hidden);
	cur_list.fields = [["name", cur_list.doctype], ...texts.map((df) => [df.fieldname, cur_list.doctype])];
	cur_list.build_fields();
	cur_list.setup_columns();
	await cur_list.refresh();
	return texts.length;
}"""


def test_what_came_from_outside_is_shown_as_text(desk: Desk, markup: dict[str, str]):
	"""In forms, lists and reports of whatever the engine writes by SQL."""
	for doctype, name in markup.items():
		desk.open(doctype, name)
		assert desk.page.evaluate("window.pwned") is None, doctype
		shown = desk.page.locator(".page-container:visible .form-page").last
		expect(shown.get_by_text(MARKUP, exact=False).first).to_be_attached()  # some are in another tab
		for view in ("List", "Report"):
			desk.page.evaluate(
				"([d, v, n]) => frappe.set_route('List', d, v, { name: n })", [doctype, view, name]
			)
			desk.page.wait_for_function(
				"([d, n]) => cur_list && cur_list.doctype === d && cur_list.data[0]?.name === n",
				arg=[doctype, name],
			)
			if view == "Report":
				columns = desk.page.evaluate(REPORT_OF_TEXTS)
				assert columns
				desk.rest()
				expect(
					desk.page.locator(".dt-cell__content:visible").filter(has_text=MARKUP).first
				).to_be_visible()
			desk.rest()
			assert desk.page.evaluate("window.pwned") is None, f"{doctype} {view}"
			assert not desk.page.locator("img[src='x']").count(), f"{doctype} {view}"
