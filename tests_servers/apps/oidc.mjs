// oidc-provider with one client that authenticates in the request body, and a list that its tokens open.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { Provider } = require("oidc-provider");
const port = Number(process.argv[2]);
const origin = `http://127.0.0.1:${port}`;
const things = new Map();

const provider = new Provider(origin, {
	clients: [
		{
			client_id: "hub",
			client_secret: "a secret of: signs & percent %41",
			grant_types: ["client_credentials"],
			redirect_uris: [],
			response_types: [],
			token_endpoint_auth_method: process.argv[3],
			scope: "things:read",
		},
	],
	features: {
		clientCredentials: { enabled: true },
		devInteractions: { enabled: false },
		resourceIndicators: {
			enabled: true,
			getResourceServerInfo: () => ({ scope: "things:read", audience: "things", accessTokenTTL: 2, accessTokenFormat: "opaque" }),
		},
	},
	scopes: ["things:read"],
	ttl: { ClientCredentials: 2 },
});

async function list(request, response) {
	const token = await provider.ClientCredentials.find((request.headers.authorization || "").replace(/^Bearer /, ""));
	const ok = token && !token.isExpired && token.scopes.has("things:read") && [].concat(token.aud).includes("things");
	response.writeHead(ok ? 200 : 401, { "Content-Type": "application/json" });
	response.end(JSON.stringify(ok ? [...things.values()] : { error: "invalid_token" }));
}

function change(request, response, id) {
	let body = "";
	request.on("data", (part) => (body += part));
	request.on("end", () => {
		request.method === "DELETE" ? things.delete(id) : things.set(id, JSON.parse(body));
		response.end("{}");
	});
}

const callback = provider.callback();
createServer((request, response) => {
	const path = request.url.split("?")[0];
	if (path === "/things") return list(request, response);
	if (path.startsWith("/things/")) return change(request, response, path.slice(8));
	callback(request, response);
}).listen(port, "127.0.0.1");
