// The pill of a row in a list, once the list is drawn.

function set_pill(list, name, text, color, title = text) {
	const row = list.$result.find(".list-row-container").filter((_, el) => $(el).find(".list-row-checkbox").data("name") == name);
	const $pill = row.find(".indicator-pill.filterable");
	$pill.removeClass("gray green red orange blue").addClass(color);
	$pill.attr("title", title);
	const $text = $pill.find("span");
	($text.length ? $text : $pill).text(text);
}
