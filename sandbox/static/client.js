// The rep's client: a chat with a customer, and the product's page in the toolbar beside it, which speaks through wx.js.
"use strict";

const POLL_MS = 1000;
const stage = $("client");
const { rep, customer, group, lang } = stage.dataset;
const frame = $("toolbar");

// --- what the page in the toolbar asks for ----------------------------------------------------------------------

const CALLS = {
  js_config: ({ url, settings }) => ({ url, settings }),
  js_agent_config: ({ url, settings, leave }) => ({ url, settings, leave }),
  js_invoke: (asked) => ({ function: asked.function, settings: asked.settings, leave: asked.leave, tapped: asked.tapped, userid: rep, external_userid: customer, chat_id: group }),
};

window.addEventListener("message", async (event) => {
  if (!frame || event.source !== frame.contentWindow || !Object.hasOwn(CALLS, event.data.sandbox)) return;
  if (new URL(event.data.url).origin !== event.origin) return; // a page speaks for no other
  const said = await post(event.data.sandbox, CALLS[event.data.sandbox](event.data));
  event.source.postMessage({ number: event.data.number, said }, event.origin);
  await refresh();
});

// --- the chat -----------------------------------------------------------------------------------------------------

function drawChat(chat) {
  if (!chat) return empty(words.client_nobody);
  const say = (text) => post("write", { userid: rep, external_userid: customer, text, who: "rep" }).then(refresh);
  const writer = chat.status === "member_deleted" ? el("p", { class: "writer muted" }, words.cannot_write) : writing("rep", say);
  return [el("div", { class: "chat-head" }, el("div", { class: "grow" }, el("b", {}, chat.remark || chat.customer)), el("span", { class: "muted" }, chat.rep)),
    scrolled(...chat.lines.map((one) => bubble(one, "rep", rep, customer))), writer];
}

function drawClients(clients) {
  return clients.map((one) => el("a", { class: "item", href: `?${new URLSearchParams({ userid: rep, external_userid: one.id, lang })}`, "aria-current": one.id === customer ? "true" : null },
    face(one.id), el("span", { class: "grow" }, el("b", {}, one.name))));
}

async function refresh() {
  const view = await ask(`/sandbox/view?${new URLSearchParams({ customer, rep })}`);
  redraw("chat", view.chat, drawChat);
  redraw("clients", view.clients, drawClients);
}

async function begin() {
  words = await ask(`/sandbox/words?lang=${lang}`);
  await refresh();
  setInterval(() => refresh().catch(console.warn), POLL_MS);
}

begin();
