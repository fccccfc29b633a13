/** The routes of a server, as fastify itself lists them. */
import { METHODS } from 'node:http';
import type { FastifyInstance } from 'fastify';

/** Paths in fastify's printed tree of routes, in which a line has only the part after that of its parent. */
function pathsOf(tree: string): string[] {
  const parents: string[] = [];
  return tree.split('\n').flatMap((line) => {
    const [, indent = '', part = ''] = /^([ │├└─]*)(\S+)/.exec(line) ?? [];
    if (part === '') return [];
    const depth = indent.length / 4;
    const path = `${depth > 1 ? parents[depth - 1] : ''}${part}`;
    parents[depth] = path;
    return [path];
  });
}

/** Every path, with parameters as `:name`. */
export const pathsServedBy = (server: FastifyInstance): string[] =>
  pathsOf(server.printRoutes({ commonPrefix: false }));

/** Every method and path that the server has a route for; 405 is a route, too. */
export function routesOf(server: FastifyInstance): { readonly method: string; readonly url: string }[] {
  const methods = METHODS.filter((method) => server.supportedMethods.includes(method));
  return pathsServedBy(server).flatMap((url) =>
    methods.filter((method) => server.hasRoute({ method, url })).map((method) => ({ method, url })),
  );
}
