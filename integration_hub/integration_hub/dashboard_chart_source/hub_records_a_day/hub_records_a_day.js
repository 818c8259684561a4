frappe.provide("frappe.dashboards.chart_sources");

frappe.dashboards.chart_sources["Hub Records a Day"] = {
	method: "integration_hub.api.records_a_day",
	filters: [],
};
