"""OpenAPI documents (2.0, 3.0, 3.1): what they say of lists, as a proposal of an integration and streams.

`document` reads the parts, `security` proposes the credentials, `lists` finds the records and the pagination, and
`convert` puts them together.
"""
