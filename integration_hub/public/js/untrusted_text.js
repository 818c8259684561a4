// Fields that hold what came from outside are shown as text. The logs are written by SQL, so nothing was cleaned on
// a save, and Frappe puts such fields into lists and reports (v15: into forms too) as HTML.

const OUTSIDE_TEXT = ["Data", "Small Text", "Text", "Long Text"];

// For a DocType's list script: Frappe runs that as soon as it knows the DocType, before any view of it.
function show_as_text(doctype) {
	for (const df of frappe.get_meta(doctype).fields) {
		if (OUTSIDE_TEXT.includes(df.fieldtype)) df.formatter = as_text;
	}
}

function as_text(value, df, options, doc) {
	// A form may hand over what it has escaped already; the document has it as it is.
	const text = String(doc?.[df.fieldname] ?? value ?? "");
	return frappe.utils.escape_html(text).replaceAll("\n", "<br>");
}
