// Import on the list of integrations: a description of an API is pasted or chosen, what it becomes is shown, and made.

const IMPORT_KINDS = ["Airbyte Manifest", "OpenAPI"];
const QUESTION_FIELDS = { boolean: "Check", integer: "Int", number: "Float", array: "Small Text" };

function import_button(list) {
	if (!frappe.user.has_role("System Manager")) return;
	list.page.add_inner_button(__("Import"), () => ask_for_description());
}

function ask_for_description() {
	const dialog = new frappe.ui.Dialog({
		title: __("Import"),
		fields: [
			{ fieldname: "kind", fieldtype: "Select", label: __("Kind"), options: IMPORT_KINDS, default: IMPORT_KINDS[0], reqd: 1 },
			{ fieldname: "name", fieldtype: "Data", label: __("Name of the Integration"), reqd: 1 },
			{ fieldname: "file", fieldtype: "HTML" },
			{ fieldname: "text", fieldtype: "Code", label: __("Description (YAML or JSON)"), reqd: 1 },
		],
		primary_action_label: __("Read"),
		primary_action: (values) => {
			dialog.hide();
			show_description({ kind: values.kind, name: values.name, text: values.text }, {});
		},
	});
	const input = $(`<input type="file" accept=".yaml,.yml,.json" class="hub-import-file">`);
	input.on("change", async () => {
		const file = input[0].files[0];
		if (!file) return;
		dialog.set_value("text", await file.text());
		if (!dialog.get_value("name")) dialog.set_value("name", file.name.replace(/^source-|\.(ya?ml|json)$/g, ""));
	});
	dialog.fields_dict.file.$wrapper.append(input);
	dialog.show();
}

async function show_description(description, answers) {
	const { message: found } = await frappe.call({
		method: "integration_hub.api.describe_import",
		args: { ...description, answers: JSON.stringify(answers) },
		freeze: true,
	});
	const dialog = new frappe.ui.Dialog({
		title: __("Import {0}", [frappe.utils.escape_html(description.name)]),
		size: "large",
		fields: [...description_fields(found), ...question_fields(found.questions, answers)],
		primary_action_label: __("Make Switched Off"),
		primary_action: () => make_import(dialog, description, found),
		secondary_action_label: __("Read Again"),
		secondary_action: () => {
			const given = given_answers(dialog, found.questions);
			dialog.hide();
			show_description(description, given.answers);
		},
	});
	dialog.show();
}

function description_fields(found) {
	const escape = frappe.utils.escape_html;
	const hosts = found.hosts.map((host) => `<li><code>${escape(host)}</code></li>`).join("");
	const complaints = found.complaints
		.map(({ path, reason }) => `<li><code>${escape(path)}</code>: ${escape(reason)}</li>`)
		.join("");
	const summary = __("{0} streams convert; {1} things do not.", [found.streams.length, found.complaint_count]);
	const html = `<p>${summary}</p><p>${__("Requests and credentials would go to:")}</p><ul>${hosts}</ul>
		<ul class="hub-import-complaints" style="max-height: 12em; overflow: auto">${complaints}</ul>`;
	const options = found.streams.map(({ name }) => ({ label: escape(name), value: name, checked: 1 }));
	return [
		{ fieldname: "summary", fieldtype: "HTML", options: html },
		{ fieldname: "streams", fieldtype: "MultiCheck", label: __("Streams"), options, columns: 2 },
		{ fieldtype: "Section Break", label: __("Questions") },
	];
}

function question_fields(questions, answers) {
	return questions.map((question, number) => {
		const choices = question.choices.map(String);
		const usual = answers[question.name] ?? question.default;
		return {
			fieldname: `question_${number}`,
			fieldtype: question.secret ? "Password" : choices.length ? "Select" : QUESTION_FIELDS[question.kind] || "Data",
			label: frappe.utils.escape_html(question.label || question.name),
			description: frappe.utils.escape_html(question.description || String(question.example ?? "")),
			options: choices.length ? choices : undefined,
			default: question.secret ? undefined : Array.isArray(usual) ? usual.join("\n") : usual,
			reqd: question.required && !question.secret ? 1 : 0,
		};
	});
}

function given_answers(dialog, questions) {
	const found = { answers: {}, secrets: {} };
	questions.forEach((question, number) => {
		const value = dialog.get_value(`question_${number}`);
		if (value === "" || value === undefined || value === null) return;
		found[question.secret ? "secrets" : "answers"][question.name] = question.kind === "boolean" ? Boolean(value) : value;
	});
	return found;
}

async function make_import(dialog, description, { questions, streams }) {
	const given = given_answers(dialog, questions);
	const chosen = dialog.get_value("streams");
	if (streams.length && !chosen.length) return frappe.msgprint(__("Choose a stream."));
	const { message: made } = await frappe.call({
		method: "integration_hub.api.make_import",
		args: {
			...description,
			answers: JSON.stringify(given.answers),
			secrets: JSON.stringify(given.secrets),
			streams: JSON.stringify(chosen),
		},
		freeze: true,
	});
	dialog.hide();
	frappe.set_route("Form", "Integration Settings", made[0]);
}
