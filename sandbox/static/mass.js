// Mass messages 企业群发 on both phones: what a rep is asked to send and what he sends by himself, and the customer's groups.
"use strict";

// --- the rep's phone ------------------------------------------------------------------------------------------

function massItem(mass) {
  const go = () => { open.rep = "mass"; draw(); };
  const waiting = mass.todos.length ? el("span", { class: "state waiting" }, String(mass.todos.length)) : null;
  const first = mass.todos[0] || mass.done[0];
  return el("button", { class: "item", type: "button", onclick: go }, el("span", { class: "sign", "aria-hidden": "true" }, "»"),
    el("span", { class: "grow" }, el("b", {}, words.mass_desk), el("span", { class: "last" }, first ? massWords(first) : words.mass_nothing)), waiting);
}

const massWords = (one) => one.text || one.attachments.join(" · ");
const counted = (name, number) => words[name].replace("{n}", number);

function massScreen(mass, rep) {
  const todos = mass.todos.map((one) => massTodo(one, rep));
  const done = mass.done.map((one) => massDone(one));
  const box = el("div", { class: "lines" }, ...(todos.length ? todos : [empty(words.mass_nothing)]),
    done.length ? el("p", { class: "said" }, words.mass_done) : null, ...done.filter(Boolean));
  return [headOf("rep", words.mass_desk), box, massWriting(rep)];
}

function massTodo(one, rep) {
  const form = el("form", { class: "bubble", onsubmit: (event) => { event.preventDefault(); massSend(form, one, rep); } },
    el("span", { class: "label" }, counted(`mass_to ${one.chat_type}`, one.receivers), one.reminders ? ` · ${counted("mass_reminded", one.reminders)}` : ""),
    one.text, ...massFiles(one), one.choose.length ? massChoice(one) : null,
    el("span", { class: "card-buttons" }, el("button", { class: "main" }, words.mass_send)));
  return el("div", { class: "line card-line" }, form);
}

function massChoice(one) {
  return el("span", { class: "votes" }, ...one.choose.map((who) =>
    el("label", {}, el("input", { type: "checkbox", value: who.id, checked: true }), who.name)));
}

function massSend(form, one, rep) {
  const receivers = [...form.querySelectorAll("input:checked")].map((box) => box.value);
  return act("confirm_mass", { userid: rep, msgid: one.msgid, ...(one.choose.length ? { receivers } : {}) });
}

function massDone(one) {
  const missed = one.missed ? ` · ${counted("mass_missed", one.missed)}` : "";
  return el("div", { class: "line card-line" }, el("div", { class: "bubble" },
    el("span", { class: "label" }, counted("mass_got", one.got) + missed), one.text, ...massFiles(one)));
}

const massFiles = (one) => one.attachments.map((title) => el("span", { class: "file" }, `${words.attachment} ${title}`));

function massWriting(rep) {
  const send = (event) => {
    event.preventDefault();
    const text = $("write-mass").value.trim();
    $("write-mass").value = "";
    if (text) act("member_mass", { userid: rep, text });
  };
  return el("form", { class: "writer", onsubmit: send },
    el("input", { id: "write-mass", autocomplete: "off", placeholder: words.mass_own, "aria-label": words.mass_own }),
    el("button", { class: "main" }, words.mass_send));
}

// --- the customer's phone -------------------------------------------------------------------------------------

function roomItems(rooms) {
  if (!rooms.length) return [];
  return [el("h3", {}, words.rooms), ...rooms.map((one) => {
    const last = one.lines[one.lines.length - 1];
    const go = () => { open.customer = "room"; chosen.set("room", one.id); draw(); };
    return el("button", { class: "item", type: "button", onclick: go }, el("span", { class: "sign", "aria-hidden": "true" }, "#"),
      el("span", { class: "grow" }, el("b", {}, one.name), el("span", { class: "last" }, last ? massWords(last) : "")));
  })];
}

function roomChat(rooms, customer) {
  const room = rooms.find((one) => one.id === chosen.get("room"));
  if (!room) return [headOf("customer", words.rooms)];
  return [headOf("customer", room.name), scrolled(...room.lines.map((one) => bubble(one, "customer", room.owner, customer)))];
}
