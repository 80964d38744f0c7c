// The person page: asks the sandbox every second what there is, and draws it. Nothing is kept here but who is chosen.
"use strict";

const POLL_MS = 1000;
const chosen = new URLSearchParams(location.search);
const lang = $("stage").dataset.lang;
// What lies open on either phone: nothing (""), their chat ("chat"), a 微信客服 chat ("kf"), the rep's chat with an app ("app").
const open = { customer: chosen.get("open") === "kf" ? "kf" : chosen.has("open") ? "chat" : "", rep: chosen.has("open") && chosen.get("open") !== "kf" ? "chat" : "" };
let view = null;
let notice = ""; // what the customer's latest scan led to

// --- acting -----------------------------------------------------------------------------------------------------

async function act(name, body) {
  notice = "";
  const done = await post(name, body);
  await refresh();
  return done;
}

function choose(customer, rep, opened) {
  if (customer && customer !== chosen.get("customer")) notice = ""; // it was somebody else's scan
  if (customer) chosen.set("customer", customer);
  if (rep) chosen.set("rep", rep);
  if (opened) open.customer = open.rep = "chat";
  chosen.set("lang", lang);
  chosen.delete("open");
  history.replaceState(null, "", `?${chosen}`);
  const other = new URLSearchParams(chosen);
  other.set("lang", lang === "en" ? "zh" : "en");
  document.querySelector(".tools .quiet").href = `?${other}`;
  return refresh();
}

// --- the wall of codes ------------------------------------------------------------------------------------------

function drawWays({ ways, customer }) {
  if (!ways.length) {
    const make = el("button", { class: "plain", type: "button", onclick: makeCode }, words.make_code);
    return empty(words.no_codes, el("br"), make);
  }
  return ways.map((way) => el("article", { class: "poster" },
    el("img", { class: "code", src: `/qr/${way.config_id}.png`, alt: "", loading: "lazy" }),
    el("div", { class: "grow" }, el("b", {}, way.title),
      el("p", { class: "muted" }, way.reps.join("、") + (way.more ? ` +${way.more}` : "")),
      way.verify ? el("p", { class: "muted" }, words.asks_first) : null),
    el("button", { class: "main", type: "button", disabled: !customer, onclick: () => scan(way.config_id) }, words.scan)));
}

function makeCode() {
  return act("way", { users: view.reps.slice(0, 2).map((one) => one.id), state: "counter", remark: lang === "en" ? "Counter" : "收银台" });
}

async function scan(config_id) {
  const arrival = await act("scan", { config_id, external_userid: chosen.get("customer") });
  const rep = view.reps.find((one) => one.id === arrival.userid);
  notice = words[`scanned ${arrival.outcome}`].replace("{rep}", rep ? rep.name : arrival.userid);
  showPhone();
  if (!arrival.userid) return draw();
  if (arrival.outcome === "waiting") open.customer = open.rep = "";
  await choose(arrival.external_userid, arrival.userid, arrival.outcome !== "waiting");
}

// On a narrow screen the phone lies above or below the codes: what a scan led to must not happen out of sight.
function showPhone() {
  const phone = $("customer-title");
  const top = phone.getBoundingClientRect().top;
  if (top >= 0 && top < innerHeight / 2) return;
  phone.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

// --- the customer's phone ---------------------------------------------------------------------------------------

function drawCustomer(facts) {
  if (facts.open === "kf" && facts.kf) return kfChat(facts.kf, "customer", facts.customer);
  if (facts.open === "room") return roomChat(facts.rooms, facts.customer);
  if (facts.open === "chat" && facts.chat) {
    const head = chatHead("customer", facts.chat.rep, facts.chat.status, words.delete_rep, "customer_deletes", facts);
    return [head, bubbles(facts.chat, "customer", facts), writer("customer", facts)];
  }
  const rows = facts.friends.map((one) => listItem("customer", one, one.last && spoken(one.last, "customer"), () => choose(null, one.id, true)));
  return el("div", { class: "list" }, el("h3", {}, words.friends), ...(rows.length ? rows : [empty(words.no_friends)]),
    ...roomItems(facts.rooms), ...counterItems(facts.counters, facts.customer), pointsItem());
}

// The menu of the shop's 公众号: the page is everybody's, and WeChat says whose points it shows.
function pointsItem() {
  const { home } = $("stage").dataset;
  return home && el("a", { class: "item", href: `${home}me?lang=${lang}`, target: "_blank", rel: "noreferrer" },
    el("span", { class: "sign", "aria-hidden": "true" }, "分"),
    el("span", { class: "grow" }, el("b", {}, words.my_points), el("span", { class: "last" }, words.my_points_why)));
}

// --- the rep's phone --------------------------------------------------------------------------------------------

function drawRep(facts) {
  if (facts.open === "kf" && facts.kf) return kfChat(facts.kf, "rep", facts.customer, facts.rep);
  if (facts.open === "mass") return massScreen(facts.mass, facts.rep);
  if (facts.open === "app" && facts.apps.length) return appChat(facts.apps.find((one) => String(one.id) === chosen.get("app")) || facts.apps[0], facts.rep);
  if (facts.open === "chat" && facts.chat) {
    const name = facts.chat.remark || facts.chat.customer;
    const head = chatHead("rep", name, facts.chat.status, words.delete_customer, "member_deletes", facts);
    return [head, knowledge(facts), bubbles(facts.chat, "rep", facts), writer("rep", facts), clientLink(facts)];
  }
  const list = el("div", { class: "list" }, massItem(facts.mass), ...facts.apps.map(appItem), ...deskItems(facts.desk, facts.rep));
  if (facts.requests.length) list.append(el("h3", {}, words.requests), ...facts.requests.map((one) => requestItem(one, facts.rep)));
  const rows = facts.clients.map((one) => clientItem(one));
  list.append(el("h3", {}, words.customers_of), ...(rows.length ? rows : [empty(words.no_customers)]));
  return list;
}

function requestItem(one, userid) {
  const accept = () => act("confirm", { userid, external_userid: one.id }).then(() => choose(one.id, userid, true));
  return el("div", { class: "item" }, face(one.id),
    el("span", { class: "grow" }, el("b", {}, one.name), el("span", { class: "last" }, one.channel ? one.channel.title : words.no_channel)),
    el("button", { class: "main", type: "button", onclick: accept }, words.confirm));
}

function clientItem(one) {
  const line = one.tags.length ? one.tags.join(" · ") : one.last && spoken(one.last, "rep");
  return listItem("rep", one, line, () => choose(one.id, null, true));
}

function knowledge({ chat, rep, customer }) {
  const pair = { userid: rep, external_userid: customer };
  const save = (event) => {
    event.preventDefault();
    act("edit_remark", { ...pair, remark: $("remark").value });
  };
  const tags = chat.tags.length ? chat.tags.map((one) => el("span", { class: "tag" }, one)) : [el("span", { class: "muted" }, words.no_tags)];
  const remark = el("input", { id: "remark", maxlength: 20, value: chat.remark, placeholder: chat.customer, "aria-label": words.remark });
  return el("dl", { class: "facts" },
    el("dt", {}, words.channel), el("dd", {}, ...channelWords(chat.channel)),
    el("dt", {}, words.tags), el("dd", {}, ...tags),
    el("dt", {}, words.remark), el("dd", {}, el("form", { onsubmit: save }, remark, el("button", { class: "plain" }, words.save))));
}

// The same chat on a computer, with the product's page in the toolbar beside it.
function clientLink({ rep, customer }) {
  return el("p", { class: "beside" }, el("a", { href: `/client?${new URLSearchParams({ userid: rep, external_userid: customer, lang })}` }, words.client_open));
}

function channelWords(channel) {
  if (!channel) return [words.no_channel];
  return channel.title === channel.state ? [channel.title] : [channel.title, el("small", { class: "muted" }, channel.state)];
}

// --- what both phones share -------------------------------------------------------------------------------------

function listItem(side, one, line, go) {
  if (line === seenBy(side, one.status)) line = ""; // said at the right already
  return el("button", { class: "item", type: "button", onclick: go }, face(one.id),
    el("span", { class: "grow" }, el("b", {}, one.name), el("span", { class: "last" }, line || "")),
    one.status === "active" ? null : state(one.status, side));
}

function chatHead(side, name, status, label, deletion, { rep, customer }) {
  const pair = { userid: rep, external_userid: customer };
  const button = side === "rep" && status === "half"
    ? el("button", { class: "main", type: "button", onclick: () => act("confirm", pair) }, words.confirm)
    : el("button", { class: "plain danger", type: "button", title: label, "aria-label": label, disabled: !["active", "half"].includes(status), onclick: () => act(deletion, pair) }, words.delete);
  return headOf(side, name, status === "active" ? null : state(status, side), button);
}

function headOf(side, name, ...more) {
  const back = () => { open[side] = ""; draw(); };
  return el("div", { class: "chat-head" },
    el("button", { class: "back", type: "button", "aria-label": words.back, onclick: back }, "‹"),
    el("div", { class: "grow" }, el("b", {}, name)), ...more);
}

function bubbles(chat, side, { rep, customer }) {
  return scrolled(...chat.lines.map((one) => bubble(one, side, rep, customer)));
}

// Who was deleted can still write, and learns it from WeChat then; who has deleted the other has no chat any more.
const canWrite = (side, status) => status !== (side === "customer" ? "customer_deleted" : "member_deleted");

function writer(side, { rep, customer, chat }) {
  if (!canWrite(side, chat.status)) return el("p", { class: "writer muted" }, words.cannot_write);
  return writing(side, (text) => act("write", { userid: rep, external_userid: customer, text, who: side }));
}

// --- what passes between WeCom and the product --------------------------------------------------------------------

function drawEvents(events) {
  if (!events.length) return empty(words.no_events);
  return events.map((one) => el("div", { class: "row" },
    el("time", {}, clock(one.at)),
    el("span", { class: "grow" }, el("span", { class: "what" }, eventWords(one)), " ",
      el("span", { class: "about" }, one.about.join(" · ")),
      el("span", { class: "name" }, one.what)),
    one.code ? el("span", { class: "code" }, "WelcomeCode") : null,
    el("span", { class: "tries" }, ...one.tries.map(drawTry), state(one.fate))));
}

// The most telling name first: what changed in a group, then the change of its subject, then the change alone.
function eventWords(one) {
  return words[`on ${one.detail}`] || words[`on ${one.kind} ${one.event}`] || words[`on ${one.kind}`] || one.kind;
}

function drawTry(one) {
  const said = one.status ? `${one.status} · ${one.ms} ms` : words.no_answer;
  return el("span", { class: `try${one.status === 200 ? "" : " failed"}` }, said);
}

function drawCalls(calls) {
  if (!calls.length) return empty(words.no_calls);
  return calls.map((one) => el("div", { class: "row" },
    el("time", {}, clock(one.at)), el("span", { class: "what" }, one.path),
    el("span", { class: `errcode ${one.errcode ? "no" : "ok"}` }, one.outcome === "answered" ? String(one.errcode) : one.outcome)));
}

// --- all of it ------------------------------------------------------------------------------------------------

function drawChoices(id, people, wanted) {
  redraw(id, [people, wanted], () => people.map((one) =>
    el("option", { value: one.id, selected: one.id === wanted }, [one.name, one.position, one.number].filter(Boolean).join(" · "))));
}

function draw() {
  const customer = chosen.get("customer") || "";
  const rep = chosen.get("rep") || "";
  const pair = { customer, rep, chat: view.chat };
  drawChoices("customer", view.customers, customer);
  drawChoices("rep", view.reps, rep);
  redraw("ways", { ways: view.ways, customer }, drawWays);
  const { kf, counters, desk, apps, mass, rooms } = view;
  redraw("customer-screen", { ...pair, kf, open: open.customer, friends: view.friends, counters, rooms }, drawCustomer);
  redraw("rep-screen", { ...pair, kf, open: open.rep, clients: view.clients, requests: view.requests, desk, apps, mass }, drawRep);
  redraw("events", view.events, drawEvents);
  redraw("calls", view.calls, drawCalls);
  $("customer-notice").textContent = notice;
  $("customer-notice").hidden = !notice;
  $("clock").textContent = clock(view.now);
  $("pause").textContent = view.paused ? words.resume : words.pause;
}

async function refresh() {
  try {
    view = await ask(`/sandbox/view?${new URLSearchParams({ customer: chosen.get("customer") || "", rep: chosen.get("rep") || "", kf: chosen.get("kf") || "" })}`);
    $("offline").hidden = true;
  } catch (error) {
    $("offline").hidden = false;
    console.warn(error);
    return;
  }
  if (!chosen.get("customer") && view.customers.length) return choose(view.customers[0].id, null, false);
  if (!chosen.get("rep") && view.reps.length) return choose(null, (view.friends[0] || view.reps[0]).id, false);
  draw();
}

async function begin() {
  words = await ask(`/sandbox/words?lang=${lang}`);
  $("customer").addEventListener("change", (event) => { open.customer = ""; choose(event.target.value, null, false); });
  $("rep").addEventListener("change", (event) => { open.rep = ""; choose(null, event.target.value, false); });
  $("pause").addEventListener("click", () => act(view.paused ? "resume" : "pause"));
  $("new-customer").addEventListener("submit", async (event) => {
    event.preventDefault();
    const made = await post("customer", { name: $("new-name").value.trim() });
    $("new-name").value = "";
    open.customer = "";
    await choose(made.external_userid, null, false); // at once: whoever scans next must be the newcomer
  });
  await refresh();
  setInterval(refresh, POLL_MS);
}

begin();
