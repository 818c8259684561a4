// A stream of direction Out sends: what fetching needs is not offered, and its fields say what they are for.

const sends = (frm) => frm.doc.direction === "Out";

function show_direction(frm) {
	const out = sends(frm);
	const said = {
		integration: out ? __("The external system that changes are sent to.") : null,
		target_doctype: out ? __("DocType whose documents are sent.") : null,
		endpoint: out ? __("Path of the records, below the base URL.") : null,
		id_path: out ? __("Where the answer to a creation holds the record's id (JMESPath).") : null,
		mapping: out ? __("Which field of a document goes where in what is sent.") : null,
	};
	for (const [field, text] of Object.entries(said)) {
		frm.set_df_property(field, "description", text || frappe.meta.get_docfield(frm.doctype, field)?.description || "");
	}
	const head = frm.fields_dict.section_21.head?.[0]?.firstChild;
	if (head) head.textContent = out ? __("Destination") : __("Source");
	frm.toggle_display(["source_look", "source_keys"], !out);
}
