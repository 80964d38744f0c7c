// The little the pages cannot do by themselves. Everything works without it.
"use strict";

// A first-visit sentence that was read stays away.
for (const button of document.querySelectorAll("[data-seen]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const found = document.cookie.match(/(?:^|; )seen=([^;]*)/);
    const seen = new Set((found ? found[1] : "").split(".").filter(Boolean));
    seen.add(button.dataset.seen);
    document.cookie = `seen=${[...seen].join(".")}; path=/; max-age=31536000; samesite=lax`;
    button.closest("[data-about]").remove();
  });
}

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

// A form leaves once.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.target.dataset.left) event.preventDefault();
  event.target.dataset.left = "1";
  window.setTimeout(() => delete event.target.dataset.left, 4000);
});

// What is under way shows itself anew, unless somebody is busy on the page.
const fresh = document.querySelector("[data-fresh]");
if (fresh) {
  window.setInterval(async () => {
    if (document.hidden || document.querySelector("main :focus, details[open]")) return;
    const answer = await fetch(window.location.href, { headers: { "X-Fresh": "1" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.querySelector("#content");
    if (now) document.querySelector("#content").replaceWith(now);
  }, 1000 * Number(fresh.dataset.fresh));
}
