// A GraphQL Yoga server with one Relay connection, and mutations to change what it lists.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { createSchema, createYoga } = require("graphql-yoga");
const things = new Map();
const stamp = () => new Date().toISOString();

const typeDefs = `
	type Thing { id: ID!, title: String!, price: Float!, updatedAt: String! }
	type Edge { cursor: String!, node: Thing! }
	type PageInfo { endCursor: String, hasNextPage: Boolean! }
	type Connection { edges: [Edge!]!, nodes: [Thing!]!, pageInfo: PageInfo!, totalCount: Int! }
	type Query { things(first: Int = 4, after: String, updatedSince: String): Connection! }
	type Mutation {
		put(id: ID!, title: String!, price: Float!): Thing!
		remove(id: ID!): Boolean!
		clear: Boolean!
	}
`;
const encode = (id) => Buffer.from("thing:" + id).toString("base64");
const decode = (cursor) => Number(Buffer.from(cursor, "base64").toString().slice(6));

const resolvers = {
	Query: {
		things(_, { first, after, updatedSince }) {
			const all = [...things.values()].filter((one) => !updatedSince || one.updatedAt >= updatedSince).sort((a, b) => a.id - b.id);
			const rest = after ? all.filter((one) => one.id > decode(after)) : all;
			const nodes = rest.slice(0, Math.min(first, 4));
			const endCursor = nodes.length ? encode(nodes.at(-1).id) : null;
			const edges = nodes.map((node) => ({ cursor: encode(node.id), node }));
			return { edges, nodes, totalCount: all.length, pageInfo: { endCursor, hasNextPage: rest.length > nodes.length } };
		},
	},
	Mutation: {
		put: (_, { id, title, price }) => {
			things.set(Number(id), { id: Number(id), title, price, updatedAt: stamp() });
			return things.get(Number(id));
		},
		remove: (_, { id }) => things.delete(Number(id)),
		clear: () => (things.clear(), true),
	},
};

createServer(createYoga({ schema: createSchema({ typeDefs, resolvers }), logging: false })).listen(Number(process.argv[2]), "127.0.0.1");
