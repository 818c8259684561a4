// Save what was typed before anything is tried with it; false where the server refused it, and has said why.
// Frappe's own save() ends well then, too.
async function saved(frm) {
	if (frm.is_dirty()) await frm.save();
	return !frm.is_dirty();
}
