frappe.ui.form.on("External Record", {
	refresh(frm) {
		frm.disable_save();
	},
});
