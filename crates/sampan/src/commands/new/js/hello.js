// Answers requests over HTTP, and counts them in a bucket.

import { open } from "wasi:keyvalue/store@0.2.0-draft2";
import { increment } from "wasi:keyvalue/atomics@0.2.0-draft2";

addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  // Two visits at once are both counted.
  const count = increment(open("visits"), "all", 1n);
  return new Response(`Hello! This is visit ${count}.\n`);
}
