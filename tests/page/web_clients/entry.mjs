/** What a test calls: by a line on standard input in Node.js, by a function in a browser. */

import { run } from "./program.mjs";
import { runGrpcWeb } from "./grpc_web.mjs";

/** @type {Record<string, (url: string) => Promise<any>>} */
const PROGRAMS = {
  connect: (url) => run(url, "connect"),
  "grpc-web over connect-web": (url) => run(url, "grpc-web"),
  "grpc-web, text": (url) => runGrpcWeb(url, "text"),
  "grpc-web, binary": (url) => runGrpcWeb(url, "binary"),
};

Object.assign(globalThis, { callService: (/** @type {string} */ name, /** @type {string} */ url) => PROGRAMS[name](url) });

if (typeof process === "object" && process.argv?.[3]) console.log(JSON.stringify(await PROGRAMS[process.argv[2]](process.argv[3])));
