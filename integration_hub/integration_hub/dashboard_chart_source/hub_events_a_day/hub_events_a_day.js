frappe.provide("frappe.dashboards.chart_sources");

frappe.dashboards.chart_sources["Hub Events a Day"] = {
	method: "integration_hub.api.events_a_day",
	filters: [],
};
