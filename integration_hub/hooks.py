app_name = "integration_hub"
app_title = "Integration Hub"
app_publisher = "Integration Hub contributors"
app_description = (
	"Connects a Frappe site to external systems and never loses, doubles or hides anything on the way"
)
app_email = "integration-hub@example.com"
app_license = "mit"
# Desk is at /app on v15 and at /desk on v16: each redirects the other's addresses.
app_home = "/app/integration-hub"

export_python_type_annotations = True

add_to_apps_screen = [
	{
		"name": "integration_hub",
		"logo": "/assets/integration_hub/images/logo.svg",
		"title": "Integration Hub",
		"route": app_home,
		"has_permission": "integration_hub.install.may_see_app",
	}
]

# The names that other apps register are among the options of two Selects.
extend_bootinfo = "integration_hub.integration_hub.choices.boot"

after_install = "integration_hub.install.after_install"
after_migrate = "integration_hub.install.after_migrate"
before_uninstall = "integration_hub.install.before_uninstall"
after_uninstall = "integration_hub.install.after_uninstall"

# The form of any document that a stream has written links to its External Record.
app_include_js = "integration_hub.bundle.js"

# What the logs' forms and lists share.
doctype_js = {
	"Webhook Log": "public/js/logs.js",
	"Delivery Log": "public/js/logs.js",
	"Sync Log": "public/js/logs.js",
	"Integration Error Log": "public/js/logs.js",
	"External Record": "public/js/logs.js",
}
doctype_list_js = {
	"Webhook Log": "public/js/logs.js",
	"Delivery Log": "public/js/logs.js",
	"Sync Log": "public/js/logs.js",
	"Integration Error Log": "public/js/logs.js",
}

# Any document that a stream has written tells in its timeline where it came from.
additional_timeline_content = {"*": ["integration_hub.integration_hub.provenance.timeline"]}

# A Contact that a stream writes asks Gravatar for nothing. Changes of any document are noted for outbound streams.
doc_events = {
	"*": {
		"on_change": "integration_hub.runtime.frappe.outbox.on_change",
		"after_delete": "integration_hub.runtime.frappe.outbox.after_delete",
		"before_rename": "integration_hub.runtime.frappe.outbox.before_rename",
		"after_rename": "integration_hub.runtime.frappe.outbox.after_rename",
	},
	"Contact": {
		"before_validate": "integration_hub.runtime.frappe.no_gravatar.hold_image",
		"validate": "integration_hub.runtime.frappe.no_gravatar.release_image",
	},
}

# What a report of ours sends by mail calculates nothing in a spreadsheet.
override_doctype_class = {
	"Auto Email Report": "integration_hub.integration_hub.mailed_reports.MailedReport",
}

before_request = ["integration_hub.api.prepare_webhook_request"]
after_request = ["integration_hub.api.finish_webhook_request"]

# One tick looks for what is due; each stream's own schedule stands in its Sync Settings.
scheduler_events = {
	"cron": {
		"* * * * *": [
			"integration_hub.jobs.sync_due_streams",
			"integration_hub.jobs.sweep_webhook_inbox",
			"integration_hub.jobs.sweep_outbox",
			"integration_hub.jobs.drain_external_queues",
		],
		"*/15 * * * *": ["integration_hub.jobs.watch_for_problems"],
	}
}

# Days; a person changes them in Log Settings.
default_log_clearing_doctypes = {
	"Webhook Log": 30,
	"Sync Log": 30,
	"Integration Error Log": 90,
	"Delivery Log": 30,
}

# Logs name what they are about; that must not keep it from being deleted.
ignore_links_on_delete = [
	"Sync Log",
	"External Record",
	"Webhook Log",
	"Integration Error Log",
	"Delivery Log",
]
