// The live part of the channel form: the phone follows what is typed. Without it "update preview" does the same.
"use strict";

const form = document.querySelector("form[data-preview]");
const phone = document.getElementById("phone");

// --- the phone follows the form ---
if (form && phone) {
  const chosen = new Map(); // pictures that are not uploaded yet, by row, as data the page may show
  let waiting = 0;
  let turn = 0;

  const draw = async () => {
    const mine = ++turn;
    const sent = new FormData(form);
    for (const [name, value] of [...sent.entries()]) if (value instanceof File) sent.delete(name);
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body: sent, headers: { Accept: "text/html" } });
      if (!answer.ok || mine !== turn) return;
      phone.innerHTML = await answer.text();
      showChosen();
    } catch {
      return; // the next change tries again
    }
  };
  const showChosen = () => {
    for (const [row, source] of chosen) {
      const place = phone.querySelector(`[data-row="${row}"]`);
      if (!place) continue;
      const image = document.createElement("img");
      image.className = place.dataset.look;
      image.alt = "";
      image.src = source;
      image.dataset.row = row;
      image.dataset.look = place.dataset.look;
      place.replaceWith(image);
    }
  };
  const soon = () => {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(draw, 250);
  };
  form.addEventListener("input", (event) => {
    if (event.target.type !== "file") soon();
  });
  form.addEventListener("change", (event) => {
    const file = event.target.type === "file" && event.target.files[0];
    if (!file) return;
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      chosen.set(event.target.dataset.place, reader.result);
      showChosen();
    });
    if (file.type === "image/png" || file.type === "image/jpeg") reader.readAsDataURL(file);
  });
}

// --- bytes, as WeCom counts them ---
for (const area of document.querySelectorAll("textarea[data-most]")) {
  const counter = document.getElementById(area.dataset.counter);
  const count = () => {
    const used = new TextEncoder().encode(area.value.replaceAll("\r\n", "\n")).length;
    counter.textContent = counter.dataset.words.replace("{used}", used.toLocaleString("en"));
    counter.classList.toggle("over", used > Number(area.dataset.most));
  };
  area.addEventListener("input", count);
  count();
}

// --- a placeholder goes in where the cursor is ---
for (const button of document.querySelectorAll("button[data-put]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const area = document.getElementById(button.dataset.into);
    area.setRangeText(button.dataset.put, area.selectionStart, area.selectionEnd, "end");
    area.focus();
    area.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

// --- looking for a name in a long list of boxes ---
for (const search of document.querySelectorAll("input[data-search]")) {
  search.hidden = false;
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    for (const label of document.querySelectorAll(`#${search.dataset.search} label`)) {
      label.hidden = wanted !== "" && !label.textContent.toLowerCase().includes(wanted) && !label.querySelector(":checked");
    }
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
}
