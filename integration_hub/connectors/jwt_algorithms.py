"""Names of the settings of signed tokens; apart from what signs, which takes long to load."""

ALGORITHMS = (
	*("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"),
	*("HS256", "HS384", "HS512"),
)
KEY_ENCODINGS = ("Text", "Base64", "Hex")
