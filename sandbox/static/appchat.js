// The rep's chat with an app: its messages and cards, and what he writes to it.
"use strict";

function appItem(one) {
  const last = one.lines[one.lines.length - 1];
  const go = () => { open.rep = "app"; chosen.set("app", one.id); draw(); };
  return chatItem(one, last ? appBrief(last) : words.app_silent, go);
}

const appBrief = (line) => String(line.content.content || line.content.title || (line.content.main_title || {}).title || words[`type ${line.msgtype}`] || line.msgtype).replace(/<[^>]*>|\*\*|`|^#+ |^> ?/gm, "");

function appChat(app, rep) {
  const lines = app.lines.length ? app.lines.map((one) => appBubble(one, app.id, rep)) : [empty(words.app_silent)];
  return [headOf("rep", app.name), scrolled(...lines), writing("rep", (text) => act("member_writes", { userid: rep, agent_id: app.id, text }))];
}

function appBubble(line, agent_id, rep) {
  const mine = line.who === "member";
  const draw = APP_BODIES[line.msgtype] || ((content) => [words[`type ${line.msgtype}`] || line.msgtype, content.title ? ` · ${content.title}` : ""]);
  return el("div", { class: `line${mine ? " mine" : ""}${line.msgtype.includes("card") ? " card-line" : ""}` },
    face(mine ? rep : agent_id), el("div", { class: "bubble" }, ...draw(line.content, line, rep)));
}

const APP_BODIES = {
  text: (content) => rich(content.content),
  markdown: (content) => markdown(content.content),
  textcard: (content) => [el("b", {}, content.title), el("span", { class: "desc" }, plain(content.description)), link(content.url, content.btntxt || words.card_more)],
  news: (content) => content.articles.map((one) => el("span", { class: "desc" }, one.url ? link(one.url, one.title) : one.title, one.description ? `\n${one.description}` : "")),
  template_card: (content, line, rep) => templateCard(content, line, rep),
};

// --- words with links and colours in them -----------------------------------------------------------------------

const INLINE = /\*\*(.+?)\*\*|\[(.+?)\]\((\S+?)\)|<a href=["'](.+?)["']>(.+?)<\/a>|<font color=["'](\w+)["']>(.+?)<\/font>|`(.+?)`/g;

function rich(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    parts.push(text.slice(end, match.index), inline(match));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)].filter((one) => one !== "");
}

function inline([, bold, label, address, href, linked, colour, coloured, code]) {
  if (bold) return el("b", {}, ...rich(bold));
  if (label) return link(address, label);
  if (href) return link(href, linked);
  if (colour) return el("span", { class: `font-${colour}` }, ...rich(coloured));
  return el("code", {}, code);
}

function markdown(text) {
  return text.split("\n").flatMap((line, number) => [number ? "\n" : "", ...markdownLine(line)]).filter((one) => one !== "");
}

function markdownLine(line) {
  const heading = /^#{1,6} +(.*)$/.exec(line);
  if (heading) return [el("b", {}, ...rich(heading[1]))];
  const quote = /^> ?(.*)$/.exec(line);
  return quote ? [el("span", { class: "quote" }, ...rich(quote[1]))] : rich(line);
}

const plain = (html) => String(html || "").replace(/<br\s*\/?>|<\/div>/g, "\n").replace(/<[^>]*>/g, "").trim();
const link = (href, label) => (/^https?:/.test(href || "") ? el("a", { href, rel: "noreferrer", target: "_blank" }, label) : label);

// --- template cards ---------------------------------------------------------------------------------------------

function templateCard(card, line, rep) {
  const change = card.updated || {};
  const shown = change.template_card ? { ...card, ...change.template_card } : card;
  const replaced = (change.button || {}).replace_name || (change.template_card || {}).replace_text || "";
  return [...cardHead(shown), ...cardFacts(shown), cardDoor(shown), cardForm(shown, line, rep, replaced)].filter(Boolean);
}

function cardHead(card) {
  const { source = {}, main_title = {}, emphasis_content: big } = card;
  return [source.desc ? el("span", { class: "label" }, source.desc) : null,
    main_title.title ? el("b", { class: "heading" }, main_title.title) : null,
    main_title.desc ? el("span", { class: "desc" }, main_title.desc) : null,
    big ? el("span", { class: "big" }, el("b", {}, big.title || ""), el("small", {}, big.desc || "")) : null,
    card.quote_area ? el("span", { class: "quote" }, [card.quote_area.title, card.quote_area.quote_text].filter(Boolean).join("\n")) : null,
    card.sub_title_text ? el("span", { class: "desc" }, card.sub_title_text) : null];
}

function cardFacts(card) {
  const across = (card.horizontal_content_list || []).map((one) => el("span", { class: "pair" }, el("span", { class: "muted" }, one.keyname), one.type === 1 ? link(one.url, one.value || one.url) : one.value || one.userid || ""));
  const down = (card.vertical_content_list || []).map((one) => el("span", { class: "desc" }, el("b", {}, one.title), `\n${one.desc || ""}`));
  const jumps = (card.jump_list || []).map((one) => el("span", { class: "desc" }, link(one.url, one.title)));
  return [...across, ...down, ...jumps];
}

const cardDoor = (card) => ((card.card_action || {}).url ? el("span", { class: "desc" }, link(card.card_action.url, words.card_more)) : null);

function cardForm(card, line, rep, replaced) {
  const buttons = card.button_list || (card.submit_button ? [{ ...card.submit_button, style: 1 }] : []);
  const questions = [...(card.select_list || []), ...(card.button_selection ? [card.button_selection] : [])];
  const form = el("div", { class: "card-form" }, ...questions.map(selection), card.checkbox ? votes(card.checkbox, line.msgid) : null);
  const chosenOptions = () => optionsIn(form);
  form.append(replaced ? el("span", { class: "muted" }, replaced) : el("span", { class: "card-buttons" }, ...buttons.map((one) => cardButton(one, line, rep, chosenOptions))));
  return buttons.length ? form : null;
}

function cardButton(one, line, rep, chosenOptions) {
  if (one.type === 1) return link(one.url, one.text);
  const press = () => act("press_card", { userid: rep, msgid: line.msgid, key: one.key, selected: chosenOptions() });
  const look = { 1: "main", 3: "plain danger" }[one.style || 1] || "plain";
  return el("button", { class: look, type: "button", onclick: press }, one.text);
}

function selection(one) {
  const options = one.option_list.map((option) => el("option", { value: option.id, selected: option.id === one.selected_id }, option.text));
  return el("label", { class: "desc" }, one.title || "", el("select", { name: one.question_key }, ...options));
}

function votes(box, msgid) {
  const type = box.mode === 1 ? "checkbox" : "radio";
  return el("span", { class: "votes" }, ...box.option_list.map((one) =>
    el("label", {}, el("input", { type, name: `${msgid}-vote`, value: one.id, "data-question": box.question_key, checked: one.is_checked }), one.text)));
}

function optionsIn(form) {
  const found = {};
  for (const one of form.querySelectorAll("select")) found[one.name] = [one.value];
  for (const one of form.querySelectorAll("input:checked")) (found[one.dataset.question] ||= []).push(one.value);
  return found;
}
