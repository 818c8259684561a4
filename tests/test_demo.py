"""The demo is the first thing that anybody runs."""

from click.testing import CliRunner

from integration_hub.commands import integration_hub


def test_the_demo_ends_well():
	result = CliRunner().invoke(integration_hub, ["demo", "--customers", "200"])
	assert result.exit_code == 0, result.output
	assert "demo: ok" in result.output
