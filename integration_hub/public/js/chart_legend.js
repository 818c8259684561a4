// Legends of the hub's charts flow. Frappe's entries stand 150 px apart, the last of a row beyond the chart's edge and a
// third row below it. The charts that want it say so by hubLegend in their custom options.

const GAP = 18;

const make_chart = frappe.utils.make_chart;
frappe.utils.make_chart = function (wrapper, options, ...more) {
	const chart = make_chart.call(this, wrapper, options, ...more);
	if (options?.hubLegend && chart?.renderLegend) follow(chart);
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
	const boxes = entries.map((entry) => entry.getBBox());
	if (!boxes.length || !boxes.every((box) => box.width)) return; // it is not shown now, and drawn again when it is
	const row = Math.max(...boxes.map((box) => box.height)) + 6;
	const top = place_of(entries[0])[1];
	let [x, y] = [0, top];
	entries.forEach((entry, n) => {
		if (x && x + boxes[n].width > chart.width) [x, y] = [0, y + row];
		entry.setAttribute("transform", `translate(${x}, ${y})`);
		const value = entry.querySelector(".legend-dataset-value");
		if (value) value.style.fill = "var(--text-muted)"; // readable in the dark, too
		x += boxes[n].width + GAP;
	});
	const svg = chart.legendArea.closest("svg");
	svg.dataset.height = svg.dataset.height || svg.getAttribute("height");
	svg.setAttribute("height", Math.max(Number(svg.dataset.height), place_of(chart.legendArea)[1] + y + row));
}

function place_of(element) {
	return (element.getAttribute("transform")?.match(/[-\d.]+/g) || [0, 0]).map(Number);
}
