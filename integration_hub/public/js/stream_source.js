// Looking at a source from the form, saved or not: its answer as a tree, the lists in it, the keys of their records, the
// pagination that it shows. All of it comes from outside, and is escaped.

function show_source_tools(frm) {
	if (frm.hub_look && frm.hub_look.of !== frm.doc.name && !frm.hub_look.of.startsWith("new-")) frm.hub_look = null;
	const $place = frm.fields_dict.source_look.$wrapper.empty();
	frm.fields_dict.source_keys.$wrapper.empty();
	if (!frm.has_perm("write")) return;
	$(`<button class="btn btn-xs btn-default hub-look mb-3">${__("Look at the Source")}</button>`)
		.appendTo($place)
		.on("click", () => look_at_source(frm));
	show_keys(frm);
}

async function look_at_source(frm) {
	for (const field of ["integration", "endpoint"]) {
		if (!frm.doc[field]) frappe.throw(__("Fill in {0} first.", [__(frappe.meta.get_label(frm.doctype, field))]));
	}
	const doc = Object.fromEntries(Object.entries(frm.doc).filter(([, value]) => !Array.isArray(value)));
	const { message } = await frappe.call({
		method: "integration_hub.api.look_at_source",
		args: { doc: JSON.stringify(doc) },
		freeze: true,
		freeze_message: __("Asking the source"),
	});
	frm.hub_look = { ...message, of: frm.doc.name };
	show_keys(frm);
	show_source(frm);
}

function show_source(frm) {
	const found = frm.hub_look;
	const dialog = new frappe.ui.Dialog({ title: __("What the Source Answers"), size: "extra-large" });
	const $body = $(`<div class="hub-source" style="padding: var(--padding-md)"></div>`).appendTo(dialog.$body);
	$body.append(`<p class="small text-muted" dir="auto" style="overflow-wrap: anywhere">${escaped(frm.doc.method || "GET")} ${escaped(found.url)}</p>`);
	if (found.problem) $body.append(`<div class="alert alert-danger">${escaped(found.problem)}</div>`);
	offer_pagination(frm, $body);
	offer_lists(frm, $body, dialog);
	$body.append(`<div class="hub-tree small mt-3" dir="ltr" style="font-family: var(--font-stack-monospace, monospace); overflow-wrap: anywhere">${branch(found.answer, found.lists)}</div>`);
	$body.find(".hub-pick").on("click", (event) => {
		event.preventDefault();
		use_list(frm, dialog, event.currentTarget.dataset.path);
	});
	dialog.set_primary_action(__("Map by Name"), () => {
		dialog.hide();
		map_by_name(frm);
	});
	dialog.show();
}

// A value as a tree that opens and closes; a list of records in it is a Records Path to press.
function branch(value, lists, name, path = "", depth = 0) {
	const label = name === undefined ? "" : `<span class="text-muted">${escaped(name)}:</span> `;
	if (value === null || typeof value !== "object") {
		return `<div style="padding-left: 18px">${label}${escaped(value === null ? "null" : value)}</div>`;
	}
	const is_list = Array.isArray(value);
	const known = is_list && lists.find((one) => one.path === path);
	const pick = known ? `<a href="#" class="hub-pick ml-2" data-path="${escaped(path)}">${__("use as Records Path")}</a>` : "";
	const below = (key) => (is_list ? `${path}[${key}]` : [path, /^[A-Za-z_]\w*$/.test(key) ? key : JSON.stringify(key)].filter(Boolean).join("."));
	const items = Object.entries(value).map(([key, inner]) => branch(inner, lists, key, below(key), depth + 1));
	return `<details ${depth < 3 ? "open" : ""} style="padding-left: 14px">
		<summary>${label}<span class="text-muted">${is_list ? "[ ]" : "{ }"}</span>${pick}</summary>${items.join("")}</details>`;
}

async function use_list(frm, dialog, path) {
	await frm.set_value("records_path", path);
	const list = frm.hub_look.lists.find((one) => one.path === path);
	frm.hub_look = { ...frm.hub_look, records_path: path, keys: list.keys, problem: "" };
	show_keys(frm);
	dialog.hide();
	show_source(frm);
}

function offer_lists(frm, $body, dialog) {
	const lists = frm.hub_look.lists;
	if (!lists.length) {
		$body.append(`<p class="text-muted">${__("There is no list of records in it.")}</p>`);
		return;
	}
	const $row = $(`<div class="mb-2">${__("Records are at:")} </div>`).appendTo($body);
	for (const { path, count } of lists) {
		const used = path === (frm.doc.records_path || "") && !frm.hub_look.problem;
		const said = `${path || __("the whole answer")} (${count})`;
		$(`<button class="btn btn-xs ${used ? "btn-primary" : "btn-default"} mr-2 mb-1 hub-list">${escaped(said)}</button>`)
			.attr("data-path", path)
			.appendTo($row)
			.on("click", () => use_list(frm, dialog, path));
	}
}

function offer_pagination(frm, $body) {
	const wanted = frm.hub_look.pagination;
	const differs = Object.entries(wanted).filter(([field, value]) => (frm.doc[field] || "") !== value);
	if (!differs.length) return;
	const said = Object.entries(wanted)
		.map(([field, value]) => `${__(frappe.meta.get_label(frm.doctype, field))}: ${value}`)
		.join(", ");
	const $box = $(`<div class="alert alert-info hub-pagination" style="overflow-wrap: anywhere">${__("Its pages:")} <b>${escaped(said)}</b> </div>`).appendTo($body);
	$(`<button class="btn btn-xs btn-primary ml-2">${__("Use")}</button>`)
		.appendTo($box)
		.on("click", async () => {
			await frm.set_value(wanted);
			$box.remove();
			frappe.show_alert({ message: __("The pagination is filled in"), indicator: "green" });
		});
}

// The keys beside the mapping, each with a value of the source; and the paths that a row may have.
function show_keys(frm) {
	const keys = frm.hub_look?.keys || [];
	const grid = frm.fields_dict.mapping.grid;
	// What stands in a suggestion is shown as HTML. Shorter ones first: what is typed in full is the first that fits.
	const paths = keys.filter(({ path }) => !/[<>&"'`]/.test(path)).sort((a, b) => a.path.length - b.path.length);
	grid.update_docfield_property("source_path", "fieldtype", "Autocomplete");
	grid.update_docfield_property("source_path", "ignore_validation", 1);
	grid.update_docfield_property(
		"source_path",
		"options",
		paths.map(({ path, sample }) => ({ value: path, label: path, description: escaped(short(sample)) }))
	);
	const $place = frm.fields_dict.source_keys.$wrapper.empty();
	if (!keys.length) return;
	const rows = keys.map(({ path, sample, rows }) => `<tr data-path="${escaped(path)}"><td><code>${escaped(path)}</code></td>
		<td class="text-muted" style="overflow-wrap: anywhere">${rows ? __("rows") + ": " : ""}${escaped(short(sample))}</td></tr>`);
	$place.append(`<div class="mb-2 d-flex justify-content-between align-items-center">
			<span class="small text-muted">${__("Keys of the records, with a value of each")}</span></div>
		<div class="hub-keys small border rounded mb-3" style="max-height: 220px; overflow: auto">
			<table class="table table-sm mb-0"><tbody>${rows.join("")}</tbody></table></div>`);
	$(`<button class="btn btn-xs btn-default hub-map">${__("Map by Name")}</button>`)
		.appendTo($place.find(".d-flex"))
		.on("click", () => map_by_name(frm));
}

function short(value) {
	const text = typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "");
	return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

const CONVERSIONS = { Check: "Check", Int: "Integer", Float: "Number", Currency: "Number", Percent: "Number", Date: "Date", Datetime: "Datetime" };

// Fill the mapping with what has the same name on both sides, or nearly so; what stands there already stays.
async function map_by_name(frm) {
	if (!frm.doc.target_doctype) frappe.throw(__("Fill in {0} first.", [__("Target DocType")]));
	await frappe.model.with_doctype(frm.doc.target_doctype);
	const keys = frm.hub_look?.keys || [];
	frm.doc.mapping = (frm.doc.mapping || []).filter((row) => row.field || row.source_path);
	const before = frm.doc.mapping.length;
	for (const row of rows_by_name(keys, frm.doc.target_doctype, frm.doc.mapping)) frm.add_child("mapping", row);
	frm.refresh_field("mapping");
	const added = frm.doc.mapping.length - before;
	if (added) frm.dirty();
	frappe.show_alert({ message: __("{0} rows were added to the mapping", [added]), indicator: added ? "green" : "orange" });
}

function rows_by_name(keys, doctype, mapped) {
	const taken = new Set(mapped.map((row) => row.field));
	const used = new Set(mapped.map((row) => row.source_path));
	const fields = writable(doctype);
	const rows = [];
	const take = (key, df, prefix = "") => {
		const field = prefix + df.fieldname;
		if (taken.has(field) || (!prefix && used.has(key.path))) return;
		taken.add(field);
		if (!prefix) used.add(key.path);
		rows.push({ source_path: key.path, field, conversion: df.fieldtype === "Table" ? "Rows" : CONVERSIONS[df.fieldtype] || "" });
		if (df.fieldtype !== "Table") return;
		const inner = Object.keys(key.sample?.[0] || {}).map((name) => ({ path: name }));
		for (const [child, inside] of pairs(inner, writable(df.options))) take(child, inside, `${df.fieldname}.`);
	};
	for (const [key, df] of pairs(keys, fields)) take(key, df);
	return rows;
}

function writable(doctype) {
	const meta = frappe.get_meta(doctype);
	const kept = (df) => df.fieldtype === "Table" || !frappe.model.no_value_type.includes(df.fieldtype);
	return (meta?.fields || []).filter((df) => kept(df) && !df.hidden && !df.read_only);
}

// Equal names first; then the one field that begins or ends with a key's name, if there is only one.
function pairs(keys, fields) {
	const bare = (text) => String(text || "").toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
	const last = (key) => bare(key.path.replace(/"/g, "").split(".").at(-1));
	const fits = (key, df) => (df.fieldtype === "Table" ? key.rows : !key.rows);
	const names = (df) => [bare(df.fieldname), bare(df.label)];
	const found = [];
	const free = (df) => !found.some(([, other]) => other === df);
	for (const key of keys) {
		const df = fields.find((one) => free(one) && fits(key, one) && names(one).includes(last(key)));
		if (df) found.push([key, df]);
	}
	for (const key of keys.filter((one) => !found.some(([other]) => other === one) && last(one).length > 2)) {
		const like = fields.filter(
			(one) => free(one) && fits(key, one) && names(one).some((name) => name.endsWith(last(key)) || name.startsWith(last(key)))
		);
		if (like.length === 1) found.push([key, like[0]]);
	}
	return found;
}
