// What the page says by itself: to screen readers, in passing, and in the way.

import { fill, h } from "./dom.js";

const TOAST_MILLISECONDS = 4500;

/** Say something to screen readers, after what they are saying. */
export function announce(text) {
  const said = h("p", {}, text);
  document.getElementById("announcer").append(said);
  setTimeout(() => said.remove(), 10_000);
}

/** Show `text` in `place` for a while. */
export function toast(place, text) {
  const shown = h("p", { class: "toast", role: "status" }, text);
  place.append(shown);
  setTimeout(() => shown.remove(), TOAST_MILLISECONDS);
}

/** A dialog with `content`, which is gone when it is closed; returns it, open. */
export function openDialog(label, className, ...content) {
  const dialog = h("dialog", { class: className, "aria-label": label }, ...content);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** What the bot says in the way of everything else, until OK. */
export function alertDialog(title, text) {
  const ok = h("button", { class: "primary", type: "button" }, "OK");
  const dialog = openDialog(title, "dialog alert", h("h2", {}, title), h("p", {}, text), ok);
  ok.addEventListener("click", () => dialog.close());
  ok.focus();
}

/** A picture as large as the window, with a way to keep it. */
export function pictureDialog(url, words, name) {
  const close = h("button", { class: "primary", type: "button" }, "Close");
  const dialog = openDialog(
    "Picture",
    "viewer",
    h("img", { src: url, alt: words || "Picture" }),
    h("div", { class: "viewer-tools" }, h("a", { href: url, download: name }, "Download"), close),
  );
  close.addEventListener("click", () => dialog.close());
  close.focus();
}

/** A menu under `button`: [label, action] pairs. Closes by Escape, outside press or choice. */
export function popupMenu(button, entries) {
  const id = `menu-${Math.random().toString(36).slice(2)}`;
  const items = entries.map(([label, action]) =>
    h("button", { type: "button", role: "menuitem", onclick: () => (menu.hidePopover(), action()) }, label));
  const menu = h("div", { id, class: "popup", role: "menu", popover: "auto" }, ...items);
  menu.addEventListener("toggle", (event) => {
    if (event.newState === "closed") menu.remove();
  });
  menu.addEventListener("keydown", (event) => moveIn(items, event));
  document.body.append(menu);
  menu.showPopover();
  const place = button.getBoundingClientRect();
  menu.style.top = `${place.bottom + 6}px`;
  menu.style.left = `${Math.max(8, Math.min(place.left, innerWidth - menu.offsetWidth - 8))}px`;
  items[0].focus();
}

function moveIn(items, event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const at = items.indexOf(document.activeElement);
  items[(at + step + items.length) % items.length].focus();
}

/** A form in a dialog; `onDone(FormData)` may throw an Error, which is shown. */
export function formDialog(title, fields, done, onDone) {
  const problem = h("p", { class: "problem", role: "alert" });
  const cancel = h("button", { type: "button", class: "quiet" }, "Cancel");
  const form = h(
    "form",
    { class: "form" },
    h("h2", {}, title),
    ...fields,
    problem,
    h("div", { class: "form-buttons" }, cancel, h("button", { class: "primary" }, done)),
  );
  const dialog = openDialog(title, "dialog", form);
  cancel.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await onDone(new FormData(form));
      dialog.close();
    } catch (error) {
      fill(problem, error.message);
    }
  });
  return dialog;
}
