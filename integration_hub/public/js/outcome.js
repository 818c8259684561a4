// The outcome of a run, in a list's column: the engine says it in English, count by count ("3 updated, 2 failed").

const OUTCOMES = {
	created: (n) => __("{0} created", [n]),
	updated: (n) => __("{0} updated", [n]),
	deleted: (n) => __("{0} deleted", [n]),
	failed: (n) => __("{0} failed", [n]),
	unchanged: (n) => __("{0} unchanged", [n]),
	"to delete": (n) => __("{0} to delete", [n]),
	"nothing new": () => __("Nothing new"),
};

function outcome_text(outcome) {
	const said = (part) => {
		const [, n, word] = part.match(/^(\d*) ?(.*)$/);
		return OUTCOMES[word] ? OUTCOMES[word](n) : part;
	};
	return (outcome || "").split(", ").filter(Boolean).map(said).join(", ");
}

function outcome_html(outcome, otherwise = "") {
	const text = frappe.utils.escape_html(outcome_text(outcome) || otherwise || "–");
	const bad = /\d failed/.test(outcome || "") || (!outcome && otherwise);
	return `<span class="ellipsis ${bad ? "text-danger" : ""}" title="${text}">${text}</span>`;
}
