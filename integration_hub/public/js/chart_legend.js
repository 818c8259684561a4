// Legends of the hub's bar charts flow: Frappe's entries stand 150 px apart, the last of a row beyond the chart's edge.

const OURS = "[data-widget-name='Hub Events a Day'], [data-widget-name='Hub Records a Day']";
const GAP = 18;
const TOP = 5;
const ROW = 22;

const make_chart = frappe.utils.make_chart;
frappe.utils.make_chart = function (wrapper, ...options) {
	const chart = make_chart.call(this, wrapper, ...options);
	if (wrapper?.closest?.(OURS) && chart?.renderLegend) follow(chart);
	return chart;
};

function follow(chart) {
	const render = chart.renderLegend;
	chart.renderLegend = function (...given) {
		render.apply(this, given);
		flow(this);
	};
	flow(chart);
}

function flow(chart) {
	const entries = [...(chart.legendArea?.children || [])];
	const widths = entries.map((entry) => entry.getBBox().width);
	if (!widths.every(Boolean)) return; // it is not shown now, and drawn again when it is
	let [x, y] = [0, TOP];
	entries.forEach((entry, n) => {
		if (x && x + widths[n] > chart.width) [x, y] = [0, y + ROW];
		entry.setAttribute("transform", `translate(${x}, ${y})`);
		x += widths[n] + GAP;
	});
	grow(chart.legendArea.closest("svg"), y - TOP - ROW);
}

// Room for more rows than the two that fit.
function grow(svg, more) {
	svg.dataset.height = svg.dataset.height || svg.getAttribute("height");
	svg.setAttribute("height", Number(svg.dataset.height) + Math.max(more, 0));
}
