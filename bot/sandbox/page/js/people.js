// Who is there, whose screen is seen, and adding people and groups.

import { api } from "./api.js";
import { avatar, fill, h, icon, whispered } from "./dom.js";
import { Pane } from "./pane.js";
import { formDialog, popupMenu } from "./speak.js";

// As many are seen side by side.
const SLOTS = 2;
const NARROW = matchMedia("(max-width: 759px)");

export class People {
  #panes = new Map();
  #buttons = new Map();
  #slots = [];
  #current = null;
  #unread = new Map();

  constructor(store) {
    this.store = store;
    this.strip = document.getElementById("people");
    this.place = document.getElementById("panes");
    const add = document.getElementById("add");
    add.prepend(icon("add"));
    add.addEventListener("click", () =>
      popupMenu(add, [
        ["New person", () => this.#askForPerson()],
        ["New group with everybody", () => this.#askForGroup()],
      ]));
    NARROW.addEventListener("change", () => this.#arrange());
    this.place.addEventListener("focusin", (event) => {
      const id = Number(event.target.closest(".pane")?.dataset.person);
      if (id) this.#current = id;
    });
    store.on("ready", () => this.#ready());
    store.on("people", () => this.#refresh());
    store.on("commands", () => this.#refresh());
    store.on("message", ({ message, before }) => this.#heard(message, before));
    store.on("action", ({ chatId, action }) => {
      for (const pane of this.#in(chatId)) pane.acts(action);
    });
  }

  /** The pane of a person, who is brought to the front. */
  show(personId) {
    if (!this.#slots.includes(personId)) {
      // It takes the place of whoever was not looked at last.
      const other = this.#slots.findIndex((id) => id !== this.#current);
      this.#slots[other === -1 ? this.#slots.length : other] = personId;
    }
    this.#current = personId;
    this.#arrange();
    return this.#panes.get(personId);
  }

  /** Put `text` into the composer of whoever was looked at last, and is in already. */
  write(text) {
    const pane = this.#panes.get(this.#current);
    if (pane && !pane.composer.form.hidden) pane.composer.write(text);
    else pane?.focus();
  }

  #ready() {
    for (const pane of this.#panes.values()) pane.reload();
    this.#refresh();
  }

  #refresh() {
    for (const person of this.store.people.values()) {
      const pane = this.#panes.get(person.id);
      if (pane) pane.refresh();
      else this.#add(person.id);
    }
    const others = [...this.store.people.keys()].filter((id) => !this.#slots.includes(id));
    this.#slots.push(...others.slice(0, Math.max(0, SLOTS - this.#slots.length)));
    this.#current ??= this.#slots[0] ?? null;
    this.#arrange();
  }

  #add(personId) {
    const pane = new Pane(this.store, personId);
    this.#panes.set(personId, pane);
    this.place.append(pane.element);
  }

  #arrange() {
    const visible = NARROW.matches ? [this.#current] : this.#slots;
    for (const [id, pane] of this.#panes) {
      pane.element.hidden = !visible.includes(id);
      pane.element.style.order = String(visible.indexOf(id));
      if (!pane.element.hidden) this.#unread.delete(id);
    }
    this.place.dataset.count = String(visible.length);
    this.#drawStrip(visible);
  }

  #drawStrip(visible) {
    for (const person of this.store.people.values()) {
      const button = this.#buttons.get(person.id) ?? this.#addButton(person.id);
      const count = this.#unread.get(person.id) ?? 0;
      const drawn = JSON.stringify([person.name, count]);
      button.setAttribute("aria-pressed", String(visible.includes(person.id)));
      if (button.dataset.drawn === drawn) continue;
      button.dataset.drawn = drawn;
      fill(
        button,
        avatar(person.name, person.id),
        h("span", { class: "person-name" }, person.name),
        count > 0 && h("span", { class: "badge" }, String(count), whispered(" unread")),
      );
    }
  }

  #addButton(id) {
    const show = () => this.show(id).focus();
    const button = h("button", { class: "person", type: "button", onclick: show });
    this.#buttons.set(id, button);
    this.strip.append(h("li", {}, button));
    return button;
  }

  #in(chatId) {
    return [...this.#panes.values()].filter((pane) => pane.chatId === chatId);
  }

  #heard(message, before) {
    for (const pane of this.#in(message.chat_id)) {
      pane.changed(message, before);
      if (pane.element.hidden && message.from_bot && !before) {
        this.#unread.set(pane.personId, (this.#unread.get(pane.personId) ?? 0) + 1);
        this.#arrange();
      }
    }
  }

  // -- adding ------------------------------------------------------------------------------------

  #askForPerson() {
    const language = h("select", { name: "language" },
      h("option", { value: "en" }, "English"),
      h("option", { value: "fr" }, "Français"),
      h("option", { value: "de" }, "Deutsch"));
    const fields = [
      field("Name", h("input", { name: "name", required: true, maxlength: 64, autocomplete: "off" })),
      field("Username", h("input", {
        name: "username",
        pattern: "[A-Za-z][A-Za-z0-9_]{3,31}",
        placeholder: "optional",
        title: "Letters, digits and _, at least 4",
        autocomplete: "off",
      })),
      field("Language", language),
    ];
    formDialog("New person", fields, "Add", async (form) => {
      const person = await api.addPerson({
        name: String(form.get("name")).trim() || "Someone",
        username: form.get("username") || null,
        language: form.get("language"),
      });
      await this.#until(() => this.#panes.has(person.id));
      this.show(person.id).focus();
    });
  }

  #askForGroup() {
    const fields = [
      field("Name", h("input", { name: "title", required: true, maxlength: 64, value: "Studio" })),
    ];
    formDialog("New group with everybody", fields, "Add", async (form) => {
      const title = String(form.get("title")).trim() || "Group";
      const group = await api.addGroup(title, [...this.store.people.keys()]);
      await this.#until(() => this.store.chats.has(group.id));
      for (const id of this.#slots) this.#panes.get(id)?.open(group.id);
    });
  }

  /** Wait until what was asked for has come back as an event. */
  async #until(ready) {
    while (!ready()) {
      await new Promise((resolve) => this.store.addEventListener("people", resolve, { once: true }));
    }
  }
}

function field(label, input) {
  return h("label", { class: "field" }, h("span", {}, label), input);
}
