"""Fields of components that become settings, or that change no record; any other one of theirs is a complaint.

Named as in Airbyte's declarative_component_schema.yaml. A field of that schema is left out where it changes what comes
and has no equal here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_OF_ALL = {"type", "description", "$comment"}
_EMPTY: tuple[Any, ...] = (None, "", [], {}, False)
_REQUEST = (
	"url_base url path http_method authenticator error_handler use_cache use_tcp_keepalive"
	" connect_timeout_in_seconds read_timeout_in_seconds request_options_provider"
	" request_parameters request_headers request_body request_body_json request_body_data"
	" fetch_properties query_properties"  # these two have complaints of their own
)
_NAMES = {
	"AddFields": "fields condition",
	"AddedFieldDefinition": "path value value_type",
	"ApiKeyAuthenticator": "api_token header inject_into",
	"BasicHttpAuthenticator": "username password",
	"BearerAuthenticator": "api_token",
	"CompositeErrorHandler": "error_handlers",
	"CursorPagination": "cursor_value page_size stop_condition",
	"DatetimeBasedCursor": "allow_catalog_defined_cursor_field clamping cursor_datetime_formats cursor_field"
	" cursor_granularity datetime_format end_datetime end_time_option global_substream_cursor"
	" is_client_side_incremental is_compare_strictly is_data_feed lookback_window partition_field_end"
	" partition_field_start start_datetime start_time_option step",
	"DeclarativeStream": "name primary_key retriever incremental_sync schema_loader state_migrations"
	" transformations file_uploader",
	"DefaultErrorHandler": "error_handlers backoff_strategies max_retries response_filters",
	"DefaultPaginator": "page_size_option page_token_option pagination_strategy",
	"DpathExtractor": "field_path record_expander",
	"HttpRequester": _REQUEST,
	"HttpResponseFilter": "action error_message error_message_contains failure_type http_codes predicate",
	"InlineSchemaLoader": "schema",
	"JwtAuthenticator": "additional_jwt_headers additional_jwt_payload algorithm base64_encode_secret_key"
	" header_prefix jwt_headers jwt_payload secret_key token_duration",
	"LegacySessionTokenAuthenticator": "header login_url password session_token session_token_response_key"
	" username validate_session_url",
	"ListPartitionRouter": "cursor_field request_option values",
	"MinMaxDatetime": "datetime datetime_format max_datetime min_datetime",
	"OAuthAuthenticator": "access_token_name client_id client_id_name client_secret client_secret_name"
	" expires_in_name grant_type grant_type_name profile_assertion refresh_request_body refresh_request_headers"
	" refresh_token refresh_token_error_key refresh_token_error_status_codes refresh_token_error_values"
	" refresh_token_name refresh_token_updater scopes token_expiry_date token_expiry_date_format"
	" token_refresh_endpoint use_profile_assertion",
	"OffsetIncrement": "inject_on_first_request page_size",
	"PageIncrement": "inject_on_first_request page_size start_from_page",
	"ParentStreamConfig": "extra_fields incremental_dependency lazy_read_pointer parent_key partition_field"
	" request_option stream",
	"RecordFilter": "condition",
	"RecordSelector": "extractor record_filter schema_normalization transform_before_filtering transformations",
	"RemoveFields": "field_pointers condition",
	"RequestOption": "field_name field_path inject_into",
	"SelectiveAuthenticator": "authenticator_selection_path authenticators",
	"SessionTokenAuthenticator": "expiration_duration login_requester request_authentication session_token_path",
	"SimpleRetriever": "decoder paginator partition_router record_selector requester page_size_reduction"
	" ignore_stream_slicer_parameters_on_paginated_requests pagination_reset additional_query_properties",
	"SubstreamPartitionRouter": "parent_stream_configs",
	"WaitTimeFromHeader": "header max_waiting_time_in_seconds",
	"WaitUntilTimeFromHeader": "header max_waiting_time_in_seconds min_wait",
}
_KNOWN = {kind: _OF_ALL | set(names.split()) for kind, names in _NAMES.items()}


def unknown_fields(kind: str, own: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[str]:
	"""Return the fields of a component that nothing here reads; copies of an inherited parameter say nothing."""
	known = _KNOWN.get(kind)
	for field, value in own.items() if known else ():
		if field not in (known or ()) and value not in _EMPTY and parameters.get(field) != value:
			yield str(field)
