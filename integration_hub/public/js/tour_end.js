// The onboarding's tour ends where it is. Frappe would say that the document is saved, which it is not, and lead away.
function stay_after_tour(frm) {
	const { tour } = frm;
	if (!tour || tour.hub_stays) return;
	const init = tour.init;
	tour.init = (options) => init.call(tour, { ...options, on_finish: null });
	tour.hub_stays = true;
}
