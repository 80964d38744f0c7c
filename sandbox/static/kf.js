// 微信客服 on both phones: the customer's chat with an account, and the desk of those who answer for it.
"use strict";

const POOL = 2, HUMAN = 3;

// --- lists ----------------------------------------------------------------------------------------------------

function counterItems(counters, customer) {
  if (!counters.length || !customer) return [];
  return [el("h3", {}, words.kf), ...counters.map((one) => chatItem(one, one.last && kfSpoken(one.last), () => enterKf(one.id, customer)))];
}

function chatItem(one, line, go, ...more) {
  return el("button", { class: "item", type: "button", onclick: go }, face(one.id),
    el("span", { class: "grow" }, el("b", {}, one.name), el("span", { class: "last" }, line || "")), ...more);
}

// Opening the chat is an event of its own, as in WeChat.
function enterKf(open_kfid, customer) {
  open.customer = "kf";
  chosen.set("kf", open_kfid);
  return act("kf_enter", { open_kfid, external_userid: customer, scene: "sandbox" }).then(() => choose(null, null, false));
}

function deskItems(desk, rep) {
  return desk.length ? [el("h3", {}, words.kf_desk), ...desk.map((one) => seatItem(one, rep))] : [];
}

function seatItem(one, rep) {
  const go = () => { open.rep = "kf"; chosen.set("kf", one.kf); return choose(one.id, null, false); };
  if (one.state === HUMAN) return chatItem(one, one.account, go);
  const take = () => act("kf_take", { open_kfid: one.kf, servicer: rep, external_userid: one.id }).then(go);
  return el("div", { class: "item" }, face(one.id),
    el("span", { class: "grow" }, el("b", {}, one.name), el("span", { class: "last" }, one.account)),
    el("button", { class: "main", type: "button", onclick: take }, words.kf_take));
}

// --- the chat -------------------------------------------------------------------------------------------------

function kfChat(chat, side, customer, rep) {
  const pair = { open_kfid: chat.id, external_userid: customer };
  const mine = chat.state === HUMAN && chat.servicer === rep;
  const end = el("button", { class: "plain", type: "button", disabled: !mine, onclick: () => act("kf_end", pair) }, words.kf_end);
  const status = el("span", { class: "state" }, words[`kf_state ${chat.state}`].replace("{rep}", chat.servicer_name));
  const head = headOf(side, side === "rep" ? chat.customer : chat.name, status, side === "rep" ? end : null);
  const lines = scrolled(...chat.lines.map((one) => kfBubble(one, side, chat, pair)));
  if (side === "rep" && !mine) return [head, lines, el("p", { class: "writer muted" }, words.kf_not_yours)];
  const say = side === "rep"
    ? (text) => act("kf_servicer_says", { ...pair, servicer: rep, text })
    : (text) => act("kf_say", { ...pair, text });
  const file = el("button", { class: "plain", type: "button", onclick: () => act("kf_send_file", pair) }, words.kf_file);
  return [head, lines, writing(side, say, side === "customer" ? file : null)];
}

const kfSpoken = (line) => (line.who === "notice" ? words[line.text] || line.text : words[`type ${line.text}`] || line.text);

function kfBubble(line, side, chat, pair) {
  if (line.who === "notice") return el("p", { class: "said" }, (words[line.text] || line.text).replace("{rep}", line.servicer_name));
  if (line.fate === "recalled") return el("p", { class: "said" }, words.kf_recalled);
  const mine = side === "customer" ? line.who === "customer" : line.who !== "customer";
  const who = { customer: pair.external_userid, app: chat.id, servicer: line.servicer }[line.who];
  const body = line.msgtype === "msgmenu" ? menuBody(line.content, side, pair) : [line.msgtype === "text" ? line.text : typed(line)];
  const failed = line.fate === "failed" ? el("span", { class: "file" }, words.kf_failed) : null;
  return el("div", { class: `line${mine ? " mine" : ""}` }, face(who),
    el("div", { class: "bubble" }, line.who === "servicer" ? el("span", { class: "label" }, line.servicer_name) : null, ...body.filter(Boolean), failed));
}

const typed = (line) => (line.text === line.msgtype ? words[`type ${line.msgtype}`] || line.msgtype : `${words[`type ${line.msgtype}`] || line.msgtype} · ${line.text}`);

function menuBody(menu, side, pair) {
  const entries = (menu.list || []).map((one) => menuEntry(one, side, pair));
  return [menu.head_content || "", el("span", { class: "menu" }, ...entries), menu.tail_content ? el("span", {}, menu.tail_content) : null];
}

function menuEntry(one, side, pair) {
  const inside = one[one.type];
  if (one.type === "view") return el("a", { class: "entry", href: inside.url, rel: "noreferrer", target: "_blank" }, inside.content);
  if (one.type === "text") return el("span", { class: "entry" }, inside.content);
  const click = () => act("kf_click", { ...pair, menu_id: inside.id });
  return el("button", { class: "entry", type: "button", disabled: side !== "customer" || one.type !== "click", onclick: click }, inside.content);
}
