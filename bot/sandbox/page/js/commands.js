// The list of the bot's commands over the input: opened by the menu button or by "/".

import { fill, h } from "./dom.js";

let lists = 0;

export class CommandList {
  #all = [];
  #options = [];
  #at = -1;

  /** `actions`: `send(text)` a command at once, `complete(text)` it in the input. */
  constructor(actions) {
    this.actions = actions;
    this.id = `commands-${(lists += 1)}`;
    this.element = h("ul", {
      id: this.id,
      class: "commands",
      role: "listbox",
      "aria-label": "Commands",
      hidden: true,
    });
  }

  set commands(commands) {
    this.#all = commands;
  }

  get open() {
    return !this.element.hidden;
  }

  /** The option that the arrow keys are at. */
  get active() {
    return this.open ? (this.#options[this.#at] ?? null) : null;
  }

  /** Show the commands that begin with `typed`. */
  show(typed) {
    const fitting = this.#all.filter((one) => one.command.startsWith(typed.toLowerCase()));
    this.#options = fitting.map((one, index) => this.#option(one, index));
    fill(this.element, ...this.#options);
    this.element.hidden = !fitting.length;
    this.#at = -1;
    if (typed) this.#move(0);
  }

  hide() {
    this.element.hidden = true;
  }

  #option(one, index) {
    const text = `/${one.command}`;
    const option = h(
      "li",
      { id: `${this.id}-${index}`, role: "option", "aria-selected": "false", dataset: { text } },
      h("span", { class: "command-name" }, text),
      h("span", { class: "command-does" }, one.description),
    );
    // A press must not take the focus from the input.
    option.addEventListener("pointerdown", (event) => event.preventDefault());
    option.addEventListener("click", () => this.#choose(text));
    return option;
  }

  #choose(text) {
    this.hide();
    this.actions.send(text);
  }

  #move(to) {
    const count = this.#options.length;
    if (!count) return;
    this.#at = (to + count) % count;
    for (const [index, option] of this.#options.entries()) {
      option.setAttribute("aria-selected", String(index === this.#at));
    }
    this.#options[this.#at].scrollIntoView({ block: "nearest" });
  }

  /** Take a key if it is for the list: arrows, Enter sends, Tab completes, Escape closes. */
  keyed(event) {
    const text = this.active?.dataset.text;
    if (event.key === "ArrowDown") this.#move(this.#at + 1);
    else if (event.key === "ArrowUp") this.#move(this.#at === -1 ? -1 : this.#at - 1);
    else if (event.key === "Escape") this.hide();
    else if (event.key === "Enter" && text) this.#choose(text);
    else if (event.key === "Tab" && text && !event.shiftKey) this.actions.complete(`${text} `);
    else return false;
    event.preventDefault();
    return true;
  }
}
