// What the person page and the rep's client draw with. They fill in `words` first.
"use strict";

const $ = (id) => document.getElementById(id);
const drawn = {};
let words = {};

// --- small helpers for drawing ---------------------------------------------------------------------------------

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((one) => one !== null && one !== undefined && one !== false));
  return node;
}

// Draw a part only when what it shows has changed, so that nothing flickers and no half-written word is lost.
function redraw(id, facts, draw) {
  const key = JSON.stringify(facts);
  if (drawn[id] === key) return;
  drawn[id] = key;
  const focus = document.activeElement && $(id).contains(document.activeElement) ? document.activeElement.id : "";
  const kept = focus ? $(focus).value : "";
  $(id).replaceChildren(...[draw(facts)].flat());
  if (focus && $(focus)) {
    if (kept) $(focus).value = kept;
    $(focus).focus();
  }
}

// By the shop's clock, wherever the browser is.
const clock = (seconds) =>
  new Date(seconds * 1000).toLocaleTimeString("zh-CN", { hour12: false, timeZone: document.body.dataset.zone });
const face = (who) => el("img", { src: `/avatar/${encodeURIComponent(who)}.svg`, alt: "" });
const state = (name, side) => el("span", { class: `state ${name.split(" ")[0]}` }, seenBy(side, name));
// What has become of the two reads differently on either phone.
const seenBy = (side, name) => words[`${side} ${name}`] || words[name] || name;
const spoken = (line, side) => (line.who === "notice" ? seenBy(side, line.text) : line.text);
const empty = (text, ...more) => el("div", { class: "empty" }, text, ...more);

// --- talking to the sandbox -------------------------------------------------------------------------------------

async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function post(name, body) {
  const answer = await fetch(`/sandbox/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body || {}),
  });
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer.json();
}

// --- chats ------------------------------------------------------------------------------------------------------

// The lines of a chat, the latest in sight.
function scrolled(...lines) {
  const box = el("div", { class: "lines" }, ...lines);
  requestAnimationFrame(() => { box.scrollTop = box.scrollHeight; });
  return box;
}

function bubble(line, side, rep, customer) {
  if (line.who === "notice") return el("p", { class: "said" }, spoken(line, side));
  const writer = line.who === "customer" ? "customer" : "rep";
  const label = lineLabel(line) && el("span", { class: "label" }, lineLabel(line));
  const files = line.attachments.map((one, n) => el("span", { class: "file" }, leading((line.links || [])[n], `${words.attachment} ${one}`)));
  return el("div", { class: `line${writer === side ? " mine" : ""}` }, face(writer === "customer" ? customer : rep),
    el("div", { class: "bubble" }, label, ...withAddresses(line.text), ...files));
}

// What can be tapped: an address of the web opens in another window, everything else is words.
const leading = (href, label) => (/^https?:/.test(href || "") ? el("a", { href, rel: "noreferrer", target: "_blank" }, label) : label);
const withAddresses = (text) => (text || "").split(/(https?:\/\/[^\s\u3000-\u9fff\uff00-\uffef]+)/).map((part, n) => (n % 2 ? leading(part, part) : part));

function lineLabel(line) {
  if (line.who === "mass") return words.mass;
  if (line.who !== "welcome") return "";
  return line.after === null ? words.welcome : `${words.welcome} · ${line.after.toFixed(2)} ${words.seconds_after}`;
}

function writing(side, say, ...more) {
  const id = `write-${side}`;
  const send = (event) => {
    event.preventDefault();
    const text = $(id).value.trim();
    $(id).value = "";
    if (text) say(text);
  };
  return el("form", { class: "writer", onsubmit: send },
    el("input", { id, autocomplete: "off", placeholder: words.write, "aria-label": words.write }),
    el("button", { class: "main" }, words.send), ...more);
}
