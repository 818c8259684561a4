// Small pieces of HTML that the forms share. What comes from outside is escaped here.

function escaped(value) {
	const text = typeof value === "object" && value !== null ? JSON.stringify(value) : value ?? "";
	return frappe.utils.escape_html(String(text));
}

function shown(value) {
	if (value === null || value === undefined || value === "") return `<span class="text-muted">–</span>`;
	if (typeof value === "boolean") return value ? __("Yes") : __("No");
	return escaped(value);
}

// The value of a document's field: of a child table its rows, a line each.
function of_field(doctype, field, value) {
	if (!Array.isArray(value) || !value.every((row) => row && typeof row === "object")) return value;
	const child = frappe.meta.get_docfield(doctype, field)?.options;
	const label = (name) => __((child && frappe.meta.get_docfield(child, name)?.label) || name);
	const held = ([, inner]) => ![null, undefined, "", 0].includes(inner);
	const line = (row) => Object.entries(row).filter(held).map(([name, inner]) => `${label(name)}: ${inner}`).join(", ");
	return value.length ? { html: value.map((row) => `<div>${escaped(line(row) || "–")}</div>`).join("") } : null;
}

// A labelled value with a coloured dot; `html` is trusted.
function cell(color, label, html) {
	return `<div class="col-6 col-md-4 col-lg-3 mb-3">
		<div class="small text-muted">${escaped(label)}</div>
		<span class="indicator ${color}" style="white-space: normal"><span>${html}</span></span>
	</div>`;
}

function cells(list) {
	return `<div class="row">${list.filter(Boolean).join("")}</div>`;
}

// head: texts; rows: lists of cells, each a value or {html} that is trusted.
function table(head, rows) {
	if (!rows.length) return `<p class="text-muted">${__("Nothing to show.")}</p>`;
	const td = (value) => `<td>${value && value.html !== undefined ? value.html : shown(value)}</td>`;
	return `<div class="table-responsive"><table class="table table-bordered table-sm small mb-0">
		<thead><tr>${head.map((text) => `<th>${escaped(text)}</th>`).join("")}</tr></thead>
		<tbody>${rows.map((row) => `<tr>${row.map(td).join("")}</tr>`).join("")}</tbody></table></div>`;
}

// lines: {text} or {html}, above the table; the first one stands out.
function show_table(title, head, rows, lines = []) {
	const dialog = new frappe.ui.Dialog({ title, size: "extra-large" });
	const text = (line, n) => `<p class="${n ? "text-muted" : ""}">${line.html ?? escaped(line.text)}</p>`;
	dialog.$body.append(
		`<div style="padding: var(--padding-md)">${lines.map(text).join("")}${table(head, rows)}</div>`
	);
	dialog.show();
	return dialog;
}

function ago(time) {
	return time ? frappe.datetime.comment_when(time) : `<span class="text-muted">${__("Never")}</span>`;
}

function list_link(doctype, filters, html) {
	const texts = Object.entries(filters).map(([field, value]) => [field, typeof value === "string" ? value : JSON.stringify(value)]);
	const query = texts.map(([field, text]) => `${field}=${encodeURIComponent(text)}`).join("&");
	const list = frappe.utils.generate_route({ type: "doctype", name: doctype, doc_view: "List" });
	return `<a href="${list}?${query}">${html}</a>`;
}
