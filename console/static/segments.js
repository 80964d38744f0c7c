// The live part of the segment editor: the count follows what is written. Without it the button "count" does the same.
"use strict";

const form = document.querySelector("form[data-count]");
const count = document.getElementById("count");
let waiting = 0;
let turn = 0;

// --- the count ---
const recount = async () => {
  const mine = ++turn;
  const sheet = count.closest(".count-sheet");
  sheet.classList.add("busy");
  try {
    const answer = await fetch(form.dataset.count, { method: "POST", body: new FormData(form), headers: { Accept: "text/html" } });
    if (answer.ok && mine === turn) count.innerHTML = await answer.text();
  } catch {
    return; // the next change tries again
  } finally {
    if (mine === turn) sheet.classList.remove("busy");
  }
};
const soon = () => {
  window.clearTimeout(waiting);
  waiting = window.setTimeout(recount, 400);
};

// --- what is chosen stands on the button that opens the choice ---
const name = (pick) => {
  const chosen = [...pick.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.nextElementSibling.textContent);
  const summary = pick.querySelector("summary");
  summary.textContent = chosen.join(document.documentElement.lang === "en" ? ", " : "、") || summary.dataset.none;
  summary.classList.toggle("on", chosen.length > 0);
};

// --- conditions come and go without leaving the page ---
const press = async (what) => {
  const sent = new FormData(form);
  sent.set("do", what);
  const answer = await fetch(window.location.href, { method: "POST", body: sent }).catch(() => null);
  if (!answer || !answer.ok) return form.submit();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.getElementById("tree").replaceWith(page.getElementById("tree"));
  prepare();
  soon();
  const added = what.startsWith("add-") && document.querySelector(`[data-adds="${what}"]`);
  const line = added && added.closest(".block").querySelector(".condition:last-child :is(select, summary, input:not([type=hidden]))");
  if (line) line.focus();
};
const prepare = () => {
  for (const search of document.querySelectorAll(".pick-search")) search.hidden = false;
  for (const chooser of document.querySelectorAll("[data-adds]")) chooser.nextElementSibling.hidden = true;
};

if (form && count) {
  prepare();
  form.addEventListener("input", (event) => {
    if (event.target.matches(".pick-search")) {
      const wanted = event.target.value.trim().toLowerCase();
      for (const label of event.target.parentElement.querySelectorAll("label")) {
        label.hidden = wanted !== "" && !label.textContent.toLowerCase().includes(wanted) && !label.querySelector(":checked");
      }
    } else if (!event.target.matches("[data-adds], [name=name], [name=kind]")) soon();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches(".pick-search")) event.preventDefault();
  });
  form.addEventListener("change", (event) => {
    const pick = event.target.closest(".pick");
    if (pick && event.target.type === "checkbox") name(pick);
    if (event.target.matches("[data-adds]") && event.target.value) press(event.target.dataset.adds);
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=do]");
    if (!button || ["save", "count"].includes(button.value)) return;
    event.preventDefault();
    press(button.value);
  });
  recount();
}
