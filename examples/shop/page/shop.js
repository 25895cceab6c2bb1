// The page of the shop: it shows products, fills a cart and orders it.

const find = (id) => document.getElementById(id);
const money = (cents) => new Intl.NumberFormat("en", { style: "currency", currency: "EUR" }).format(cents / 100);

let products = [];
let cart = { id: "", counts: {} };

function newCart() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  cart = { id: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""), counts: {} };
}

async function call(method, path, body) {
  const response = await fetch(path, { method, body: body && JSON.stringify(body) });
  const answer = await response.json().catch(() => ({ error: "the shop does not answer" }));
  if (!response.ok) {
    throw new Error(answer.error);
  }
  return answer;
}

// What goes wrong is said in the status line.
async function attempt(work) {
  find("status").textContent = "";
  try {
    await work();
  } catch (error) {
    find("status").textContent = `That did not work: ${error.message}`;
  }
}

function row(text, detail, label, press, disabled) {
  const item = document.createElement("li");
  const [name, more, button] = ["span", "span", "button"].map((kind) => item.appendChild(document.createElement(kind)));
  name.textContent = text;
  more.textContent = detail;
  button.type = "button";
  button.textContent = label;
  // Read aloud, a button says what it is for.
  button.setAttribute("aria-label", `${label}: ${text}`);
  button.disabled = disabled;
  button.addEventListener("click", () => attempt(press));
  return item;
}

function show() {
  const focused = document.activeElement.getAttribute("aria-label");
  find("products").replaceChildren(
    ...products.map((product) => {
      const left = product.left ? `${product.left} left` : "sold out";
      return row(product.name, `${money(product.cents)}, ${left}`, "Add", () => put(product.id, 1), !product.left);
    }),
  );
  const chosen = products.filter((product) => cart.counts[product.id]);
  find("cart").replaceChildren(
    ...chosen.map((product) => {
      const detail = `${cart.counts[product.id]} × ${money(product.cents)}`;
      return row(product.name, detail, "Remove one", () => put(product.id, -1), false);
    }),
  );
  find("total").textContent = money(chosen.reduce((sum, product) => sum + product.cents * cart.counts[product.id], 0));
  find("order").disabled = chosen.length === 0;
  // Who uses the keyboard stays at the button that was pressed.
  [...document.querySelectorAll("li button")].find((button) => button.getAttribute("aria-label") === focused)?.focus();
}

async function put(id, more) {
  const counts = { ...cart.counts, [id]: (cart.counts[id] ?? 0) + more };
  if (counts[id] <= 0) {
    delete counts[id];
  }
  await call("PUT", `api/carts/${cart.id}`, counts);
  cart.counts = counts;
  show();
  const product = products.find((product) => product.id === id);
  find("status").textContent = `${product.name}: ${counts[id] ?? 0} in the cart`;
}

async function refresh() {
  products = await call("GET", "api/products");
  show();
}

async function order() {
  try {
    const placed = await call("PUT", `api/orders/${cart.id}`);
    newCart();
    find("status").textContent = `Thank you. Your order of ${money(placed.cents)} is ${placed.state}.`;
  } finally {
    await refresh();
  }
}

find("order").addEventListener("click", () => attempt(order));
newCart();
attempt(refresh);
