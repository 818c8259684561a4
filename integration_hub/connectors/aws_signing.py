"""AWS Signature Version 4, with botocore: a dependency of Frappe's own."""

from __future__ import annotations

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from requests import PreparedRequest
from requests.auth import AuthBase

from integration_hub.connectors.config import IntegrationConfig

# What proxies and clients change on the way is not signed.
_UNSIGNED = frozenset(
	{
		"connection",
		"accept-encoding",
		"user-agent",
		"content-length",
		"transfer-encoding",
		"expect",
		"accept",
		"cookie",
	}
)


class AWSAuth(AuthBase):
	"""Signs each request; a session token among the headers (`X-Amz-Security-Token`) is signed with it."""

	def __init__(self, config: IntegrationConfig, secret: str) -> None:
		self._region = config.aws_region
		signer = S3SigV4Auth if config.aws_service == "s3" else SigV4Auth  # S3 encodes paths once
		self._signer = signer(Credentials(config.username, secret), config.aws_service, config.aws_region)

	def __call__(self, request: PreparedRequest) -> PreparedRequest:
		headers = {name: value for name, value in request.headers.items() if name.lower() not in _UNSIGNED}
		signed = AWSRequest(request.method, request.url, headers=headers, data=_bytes(request.body))
		self._signer.add_auth(signed)
		for name, value in signed.headers.items():
			request.headers[name] = value
		return request

	def __repr__(self) -> str:
		return f"<AWSAuth {self._region}>"


def _bytes(body: str | bytes | None) -> bytes:
	return body.encode() if isinstance(body, str) else body or b""
