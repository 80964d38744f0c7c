// The page in the chat's toolbar: signs itself in to the client, asks whose chat it is, shows what the server says of it,
// and sends a card's text with one tap. What goes wrong on the way is marked in the self-check.
"use strict";

const page = document.querySelector("main.side");
const shown = document.getElementById("shown");
const FAR_APART_S = 300;
const DOMAIN = /domain|redirect_url|unauthorized/i;
const AGENT = /agentid|corpid|appid/i;
let where = {};
let keys = null;
let mayWrite = false;

// --- the self-check -------------------------------------------------------------------------------------------------

function mark(name, good, told) {
  const row = page.querySelector(`[data-check=${name}]`);
  row.className = good ? "good" : "bad";
  row.querySelector(".told").textContent = told || "";
  if (good) return;
  const checks = document.getElementById("checks");
  checks.open = true;
  page.prepend(checks);
}

// What the client says when it refuses a page, as one of our checks.
const checkOf = (said) => (DOMAIN.test(said) ? "domain" : AGENT.test(said) ? "agent" : "signed");

// --- speaking with our server ---------------------------------------------------------------------------------------

async function post(address, fields) {
  const body = new URLSearchParams({ ...fields, s: page.dataset.name, csrf_token: page.dataset.token });
  return fetch(address, { method: "POST", body });
}

function put(name) {
  const part = document.getElementById(name).content.cloneNode(true);
  const old = shown.querySelector("#told") || shown;
  if (old === shown) shown.querySelectorAll(".side-skeleton").forEach((one) => one.remove());
  const made = part.firstElementChild;
  if (old === shown) old.prepend(part);
  else old.replaceChildren(part);
  return made;
}

async function show(address, fields) {
  const answer = await post(address, fields).catch(() => null);
  if (answer && answer.status === 404) shown.replaceChildren(document.getElementById("nobody").content.cloneNode(true));
  else if (answer && answer.status === 401) put("expired");
  else if (!answer || !answer.ok) put("away");
  else {
    shown.innerHTML = await answer.text(); // of our own server, escaped there
    ready();
  }
  return Boolean(answer && answer.ok);
}

const look = () => show(page.dataset.look, where);

// --- the client -----------------------------------------------------------------------------------------------------

const invoke = (name, settings) => new Promise((resolve) => wx.invoke(name, settings || {}, (said) => resolve(said || {})));

const told = (said) => String(said.errMsg || said.err_msg || said.errmsg || "");

async function sign(old) {
  const answer = await post(page.dataset.keys, { url: location.href, old: JSON.stringify(old || null) }).catch(() => null);
  if (!answer || !answer.ok) return null;
  const found = await answer.json();
  if (found.failed === "address") {
    mark("address", false, `${found.told} ≠ ${location.origin}`);
    return null;
  }
  mark("address", true);
  if (found.failed) {
    mark(found.failed, false, found.told);
    return null;
  }
  mark("server", true);
  const apart = Math.abs(Date.now() / 1000 - found.now);
  mark("clock", apart < FAR_APART_S, apart < FAR_APART_S ? "" : `${Math.round(apart / 60)} min`);
  return found;
}

const configured = () =>
  new Promise((resolve) => {
    wx.ready(() => resolve(""));
    wx.error((said) => resolve(told(said) || "config:fail"));
    wx.config({ ...keys.config, debug: false });
  });

const agentConfigured = () =>
  new Promise((resolve) => {
    wx.agentConfig({ ...keys.agent_config, success: () => resolve(""), fail: (said) => resolve(told(said) || "agentConfig:fail") });
  });

// Whether the client lets us in; what it refuses is marked. Tickets that have just been replaced are fetched anew, once.
async function comeIn() {
  mark("script", typeof window.wx === "object");
  if (typeof window.wx !== "object") return false;
  keys = await sign();
  if (!keys) return false;
  let refused = (await configured()) || (await agentConfigured());
  if (refused && checkOf(refused) === "signed" && !/not in WeCom/.test(refused)) {
    keys = (await sign(keys)) || keys;
    refused = (await configured()) || (await agentConfigured());
  }
  if (refused) {
    mark(checkOf(refused), false, refused);
    return false;
  }
  for (const one of ["domain", "agent", "signed"]) mark(one, true);
  return true;
}

async function whose() {
  const context = await invoke("getContext");
  const entry = context.entry || "normal";
  document.getElementById("entry").textContent = entry;
  if (entry === "normal") return {};
  const group = entry === "group_chat_tools";
  const said = await invoke(group ? "getCurExternalChat" : "getCurExternalContact");
  const found = group ? said.chatId : said.userId;
  const fault = !found && !/without context/.test(told(said));
  mark("permission", !fault, fault ? told(said) : "");
  mayWrite = Boolean(found) && !group;
  return found ? { [group ? "chat_id" : "external_userid"]: found } : {};
}

async function begin() {
  if (await comeIn().catch((error) => { mark("script", false, String(error)); return false; })) where = await whose();
  noteLate();
  await look();
}

// --- one tap --------------------------------------------------------------------------------------------------------

const UNNOTED = "side-unnoted"; // what the client has sent and our server has not heard of yet

function remember(what) {
  try {
    if (what) sessionStorage.setItem(UNNOTED, JSON.stringify(what));
    else sessionStorage.removeItem(UNNOTED);
  } catch (error) { console.warn(error); }
}

function unnoted() {
  try { return JSON.parse(sessionStorage.getItem(UNNOTED) || "null"); } catch (error) { return null; }
}

const noteLate = () => { const late = unnoted(); if (late) post(late.address, late.fields).then((answer) => { if (answer.ok) remember(null); }, () => null); };

async function note(address, fields) {
  remember({ address, fields });
  if (await show(address, fields)) remember(null);
  else put("not-noted").querySelector("[data-note-again]").addEventListener("click", () => note(address, fields));
}

// The server is asked at the tap: somebody may have been quicker on another device, or the customer has opted out.
async function maySend(card) {
  const answer = await post(card.dataset.may, where).catch(() => null);
  if (answer && answer.status === 409) {
    shown.innerHTML = await answer.text();
    ready();
  } else if (answer && answer.status === 401) put("expired");
  else if (!answer || !answer.ok) put("away");
  return Boolean(answer && answer.ok);
}

// Text first; the card is over when it is out, whatever becomes of what goes with it. What is out is never sent again.
async function send(button) {
  const card = button.closest("#card");
  const text = card.querySelector("#text").value.trim();
  const messages = text && !button.dataset.textOut ? [{ msgtype: "text", text: { content: text }, of: button }] : [];
  for (const row of card.querySelectorAll("[data-part]:not(.gone)")) messages.push({ ...JSON.parse(row.dataset.part), of: row });
  if (!messages.length) return;
  button.disabled = true;
  if (!(await maySend(card))) {
    button.disabled = false;
    return;
  }
  for (const { of, ...message } of messages) {
    const said = told(await invoke("sendChatMessage", message));
    if (said !== "sendChatMessage:ok") {
      put("not-sent").querySelector(".told").textContent = said;
      button.disabled = false;
      return;
    }
    if (of === button) button.dataset.textOut = "1";
    else of.classList.add("gone");
  }
  await note(card.dataset.sent, { ...where, text });
}

function ready() {
  const button = document.getElementById("send");
  if (button && mayWrite) {
    button.disabled = false;
    button.addEventListener("click", () => send(button));
  }
}

// --- forms ----------------------------------------------------------------------------------------------------------

document.addEventListener("submit", (event) => {
  if (!("side" in event.target.dataset)) return;
  event.preventDefault();
  show(event.target.action, Object.fromEntries(new FormData(event.target)));
});
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-at-once]");
  if (form && event.target.value) form.requestSubmit();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-list]")) show(page.dataset.look, {});
});

begin();
