// The shop's till: a basket, a customer who shows who they are, and the receipts with what the product answered.
"use strict";

const POLL_MS = 1500;
const lang = $("stage").dataset.lang;
const chosen = new URLSearchParams(location.search);
const basket = {};
let view = null;

const yuan = (fen) => (fen / 100).toFixed(2);
const sum = () => view.items.reduce((all, one) => all + one.price * (basket[one.name] || 0), 0);

function put(name, pieces) {
  basket[name] = Math.max(0, (basket[name] || 0) + pieces);
  draw();
}

function drawItems({ items, held }) {
  return items.map((one) => el("article", { class: "good" },
    el("div", { class: "grow" }, el("b", {}, one.name), el("p", { class: "muted figures" }, `${yuan(one.price)} · ${one.category}`)),
    el("button", { class: "plain", type: "button", "aria-label": `− ${one.name}`, disabled: !held[one.name], onclick: () => put(one.name, -1) }, "−"),
    el("span", { class: "figures pieces" }, String(held[one.name] || 0)),
    el("button", { class: "plain", type: "button", "aria-label": `+ ${one.name}`, onclick: () => put(one.name, 1) }, "+")));
}

function drawReceipts(receipts) {
  if (!receipts.length) return empty(words.till_none);
  return receipts.map((one) => el("article", { class: "receipt" },
    el("div", { class: "grow" },
      el("p", {}, el("b", { class: "figures" }, one.number), " ", el("span", { class: "muted" }, clock(one.at)), " ", one.lines.map(([name, pieces]) => `${name} ×${pieces}`).join("，")),
      el("p", { class: "muted" }, nameOf(one.customer), one.points ? ` · ${words.till_used.replace("{n}", one.points)}` : "", one.refunded ? ` · ${words.till_back.replace("{n}", yuan(one.refunded))}` : ""),
      el("p", { class: one.told === "ok" ? "muted" : "errcode no" }, one.told === "ok" ? words.till_told : one.told)),
    el("strong", { class: "figures" }, yuan(one.amount)),
    one.refunded < one.amount ? el("button", { class: "plain", type: "button", onclick: () => post("refund_sale", { number: one.number }).then(refresh) }, words.till_refund) : null));
}

function nameOf(customer) {
  const found = view.customers.find((one) => one.id === customer);
  return found ? found.name : customer || words.till_nobody;
}

function drawCustomers({ customers, wanted }) {
  return [el("option", { value: "" }, words.till_nobody), ...customers.map((one) => el("option", { value: one.id, selected: one.id === wanted }, one.name))];
}

function draw() {
  redraw("items", { items: view.items, held: { ...basket } }, drawItems);
  redraw("till-customer", { customers: view.customers, wanted: chosen.get("customer") || "" }, drawCustomers);
  redraw("receipts", view.receipts, drawReceipts);
  const has = view.points.available;
  $("till-points").textContent = has === undefined ? "" : words.till_has.replace("{n}", has);
  $("till-sum").textContent = yuan(sum());
  $("till-pay").disabled = !sum();
  $("unconnected").hidden = view.connected;
}

async function refresh() {
  try {
    view = await ask(`/sandbox/till?${new URLSearchParams({ customer: chosen.get("customer") || "" })}`);
    $("offline").hidden = true;
  } catch (error) {
    $("offline").hidden = false;
    console.warn(error);
    return;
  }
  draw();
}

// The customer's own page shows six digits: whose they are, the product knows.
async function confirmCode() {
  const found = await post("till_confirm", { code: $("till-code").value.trim() });
  $("till-code").value = "";
  if (!found.customer) {
    $("till-code").placeholder = found.told;
    return;
  }
  chosen.set("customer", found.customer);
  history.replaceState(null, "", `?${chosen}`);
  drawn["till-customer"] = "";
  await refresh();
}

async function pay(event) {
  event.preventDefault();
  const points = Number($("till-spend").value) || 0;
  await post("sell", { items: { ...basket }, customer: chosen.get("customer") || "", points });
  for (const name of Object.keys(basket)) delete basket[name];
  $("till-spend").value = "";
  await refresh();
}

async function begin() {
  words = await ask(`/sandbox/words?lang=${lang}`);
  $("till-customer").addEventListener("change", (event) => {
    chosen.set("customer", event.target.value);
    history.replaceState(null, "", `?${chosen}`);
    refresh();
  });
  $("till-confirm").addEventListener("click", confirmCode);
  $("pay").addEventListener("submit", pay);
  await refresh();
  setInterval(refresh, POLL_MS);
}

begin();
