// Products and carts. A cart is kept in the bucket `carts` with the names and prices of when it was filled.

import { open } from "wasi:keyvalue/store@0.2.0-draft2";

const PRODUCTS = [
  { id: "tea", name: "Green tea, 100 g", cents: 690 },
  { id: "bowl", name: "Tea bowl", cents: 2400 },
  { id: "kettle", name: "Iron kettle", cents: 8900 },
];
const COUNT_MAX = 20;

addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const path = new URL(request.url).pathname;
  if (path === "/api/products") {
    return Response.json(await products());
  }
  const id = path.slice("/api/carts/".length);
  return request.method === "PUT" ? fill(id, await request.text()) : show(id);
}

// The call to the stock stays in this process.
async function products() {
  const stock = await fetch("http://stock.sampan.internal/");
  const left = await stock.json();
  return PRODUCTS.map((product) => ({ ...product, left: left[product.id] ?? 0 }));
}

function show(id) {
  const cart = open("carts").get(id);
  return cart ? json(new TextDecoder().decode(cart)) : problem(404, "there is no such cart");
}

// Fills a cart with what it is to hold from now on, such as `{"tea": 2, "bowl": 1}`.
function fill(id, text) {
  let counts;
  try {
    counts = new Map(Object.entries(JSON.parse(text)));
  } catch {
    return problem(400, "a cart is JSON: products and how many of each");
  }
  const lines = [];
  for (const [name, count] of counts) {
    const product = PRODUCTS.find((product) => product.id === name);
    if (!product) {
      return problem(400, `there is no product ${name}`);
    }
    if (!Number.isInteger(count) || count < 1 || count > COUNT_MAX) {
      return problem(400, `of one product, a cart holds 1 to ${COUNT_MAX}`);
    }
    lines.push({ ...product, count });
  }
  const cents = lines.reduce((sum, line) => sum + line.cents * line.count, 0);
  const cart = JSON.stringify({ id, lines, cents });
  open("carts").set(id, new TextEncoder().encode(cart));
  return json(cart);
}

function json(text) {
  return new Response(text, { headers: { "content-type": "application/json" } });
}

function problem(status, error) {
  return Response.json({ error }, { status });
}
