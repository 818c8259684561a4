"""Attacks: «made for their owner alone», by another user of the machine who looks, or who was there before.

`tests/test_private_files.py` has the database, the locks and the secrets; here are what stands beside them.
"""

from __future__ import annotations

import stat

import pytest

from integration_hub.runtime import status
from integration_hub.runtime.standalone.file_permissions import warnings
from integration_hub.runtime.standalone.tokens import TokenFile, token_file


@pytest.mark.parametrize("bits", [0o644, 0o660])
def test_tokens_that_others_can_read_are_warned_about(runtime, bits):
	runtime.secrets("crm").set("oauth_token", "token")
	path = token_file(runtime.file.database)
	assert stat.S_IMODE(path.stat().st_mode) == 0o600
	assert [*warnings(runtime.file)] == []
	path.chmod(bits)
	[said] = warnings(runtime.file)
	assert str(path) in said and f"{bits:04o}" in said


def test_tokens_are_not_written_through_a_link_that_leads_nowhere(tmp_path):
	(tmp_path / "hub.tokens.db").symlink_to(tmp_path / "elsewhere")
	with pytest.raises(OSError, match="leads nowhere"):
		TokenFile(tmp_path / "hub.db").set("crm", "oauth_token", "x")
	assert not (tmp_path / "elsewhere").exists()


def test_a_reference_that_no_file_can_have_keeps_status_from_nothing(make_runtime):
	runtime = make_runtime(('"env:CRM_CLIENT_SECRET"', '"file:a\\u0000b"'))
	assert any("customers-full" in line for line in status.lines(runtime))
