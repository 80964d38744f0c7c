// The little the pages cannot do by themselves. Everything works without it.
"use strict";

// A first-visit sentence that was read stays away.
const offerToPutAway = (page) => {
  for (const button of page.querySelectorAll("[data-seen]")) button.hidden = false;
};
offerToPutAway(document);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-seen]");
  if (!button) return;
  const found = document.cookie.match(/(?:^|; )seen=([^;]*)/);
  const seen = new Set((found ? found[1] : "").split(".").filter(Boolean));
  seen.add(button.dataset.seen);
  document.cookie = `seen=${[...seen].join(".")}; path=/; max-age=31536000; samesite=lax`;
  button.closest("[data-about]").remove();
});

// Where there are more places than fit, the one we are at is in sight.
const place = document.querySelector(".places ul a[aria-current]");
const row = place && place.closest("ul");
if (row && row.scrollWidth > row.clientWidth) row.scrollLeft = place.offsetLeft - (row.clientWidth - place.offsetWidth) / 2;

// What cannot be undone asks first.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.sure;
  if (question && !window.confirm(question)) event.preventDefault();
});

// A menu closes when one clicks elsewhere or presses Escape.
const menus = () => document.querySelectorAll("details[data-closes][open]");
document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A menu that would stick out of the window moves to the left.
document.addEventListener("toggle", (event) => {
  const menu = event.target.matches("details.drop[open]") && event.target.querySelector(".drop-menu");
  if (!menu) return;
  menu.style.marginLeft = "0";
  const over = menu.getBoundingClientRect().right + 8 - document.documentElement.clientWidth;
  if (over > 0) menu.style.marginLeft = `${-over}px`;
}, true);

// A form leaves once.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.target.dataset.left) event.preventDefault();
  event.target.dataset.left = "1";
  window.setTimeout(() => delete event.target.dataset.left, 4000);
});

// What is under way shows itself anew: every data-fresh seconds, unless somebody is busy on the page or nobody looks.
// Where a page names its data-live parts only those are shown anew, so that one can write beside them.
let shownAt = Date.now();
const changed = (field) =>
  field.type === "checkbox" || field.type === "radio"
    ? field.checked !== field.defaultChecked
    : field.value !== field.defaultValue;
const typedIn = (part) => [...part.querySelectorAll("textarea, input")].some(changed);
const selectedIn = (part) => {
  const chosen = window.getSelection();
  return !chosen.isCollapsed && chosen.containsNode(part, true);
};
const busyIn = (part) =>
  part.querySelector(":focus-visible, details[data-closes][open]") || typedIn(part) || selectedIn(part);
const takePlace = (before, now) => {
  const opened = before.querySelectorAll("details.more");
  now.querySelectorAll("details.more").forEach((one, place) => {
    if (opened[place]) one.open = opened[place].open;
  });
  offerToPutAway(now);
  if (now.isEqualNode(before)) return;
  const place = before.scrollTop;
  before.replaceWith(now);
  now.scrollTop = place;
};
const showAnew = async () => {
  const fresh = document.querySelector("[data-fresh]");
  if (!fresh || document.hidden || Date.now() - shownAt < 1000 * Number(fresh.dataset.fresh)) return;
  const whole = document.querySelector("#content");
  const live = [...document.querySelectorAll("[data-live]")];
  const parts = (live.length ? live : [whole]).filter((part) => !busyIn(part));
  if (!parts.length) return;
  shownAt = Date.now();
  const answer = await fetch(window.location.href, { headers: { "X-Shown-Anew": "1" } }).catch(() => null); // the next turn tries again
  if (!answer || !answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const before of parts) {
    const now = page.getElementById(before.id);
    if (now && before.isConnected && !busyIn(before)) takePlace(before, now);
  }
};
window.setInterval(showAnew, 1000);
