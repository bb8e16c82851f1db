// Where a person writes: text, commands with their menu, pictures, replies.

import { fill, h, icon, whispered } from "./dom.js";
import { inShort } from "./media.js";
import { attachDialog } from "./attach.js";
import { CommandList } from "./commands.js";

const FINGERS = matchMedia("(pointer: coarse)");

/** `chat` has the actions `send(text, replyTo)`, `upload(file, caption, replyTo, asFile)`. */
export class Composer {
  #replyTo = null;

  constructor(label, chat) {
    this.chat = chat;
    this.commands = new CommandList({
      send: (text) => this.#submit(text),
      complete: (text) => this.write(text),
    });
    this.input = h("textarea", {
      class: "input",
      rows: 1,
      placeholder: "Message",
      "aria-label": label,
      "aria-autocomplete": "list",
      "aria-controls": this.commands.element.id,
      autocomplete: "off",
      enterkeyhint: "send",
    });
    this.file = h("input", { type: "file", accept: "image/*", hidden: true });
    const menu = h(
      "button",
      { class: "menu", type: "button", title: "Commands", onclick: () => this.#toggleMenu() },
      icon("menu"),
      h("span", { class: "menu-word" }, "Menu"),
    );
    const clip = h(
      "button",
      { class: "round", type: "button", title: "Send a picture", onclick: () => this.file.click() },
      icon("attach"),
      whispered("Send a picture"),
    );
    const send = h("button", { class: "send", title: "Send" }, icon("send"), whispered("Send"));
    this.answering = h("div", { class: "answering", hidden: true });
    const line = h("div", { class: "line" }, menu, clip, this.file, this.input, send);
    this.form = h("form", { class: "write" }, this.commands.element, this.answering, line);
    this.begin = h(
      "button",
      { class: "begin", type: "button", onclick: () => this.#submit("/start") },
      "Start",
    );
    this.element = h("div", { class: "composer" }, this.form, this.begin);
    this.#listen();
  }

  #listen() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(this.input.value);
    });
    this.input.addEventListener("input", () => this.#changed());
    this.input.addEventListener("keydown", (event) => this.#keyed(event));
    this.input.addEventListener("paste", (event) => {
      const [file] = event.clipboardData.files;
      if (!file?.type.startsWith("image/")) return;
      event.preventDefault();
      this.attach(file);
    });
    this.file.addEventListener("change", () => {
      const [file] = this.file.files;
      this.file.value = "";
      if (file) this.attach(file);
    });
    this.form.addEventListener("focusout", (event) => {
      if (!this.form.contains(event.relatedTarget)) this.commands.hide();
    });
  }

  /** Before a person has written anything there is only one button, as in Telegram. */
  set started(started) {
    this.form.hidden = !started;
    this.begin.hidden = started;
  }

  /** Put `text` into the input, ready to be changed and sent. */
  write(text) {
    this.input.value = text;
    this.#changed();
    this.input.focus();
    this.input.setSelectionRange(text.length, text.length);
  }

  /** Answer `message` with what is sent next; null: no longer. */
  reply(message, name) {
    this.#replyTo = message;
    this.answering.hidden = !message;
    if (!message) return;
    const stop = () => (this.reply(null), this.input.focus());
    fill(
      this.answering,
      icon("reply"),
      message.kind === "photo" && h("img", { src: message.media.url, alt: "" }),
      h(
        "span",
        { class: "quoted-words" },
        h("span", { class: "quoted-who" }, `Reply to ${name}`),
        h("span", { class: "quoted-what" }, inShort(message)),
      ),
      h(
        "button",
        { class: "round", type: "button", onclick: stop },
        icon("close"),
        whispered("Do not reply"),
      ),
    );
    this.input.focus();
  }

  /** Look at a picture before it is sent; what was written becomes its caption. */
  attach(file) {
    const replyTo = this.#replyTo;
    attachDialog(file, this.input.value, async (caption, asFile) => {
      await this.chat.upload(file, caption, replyTo?.id, asFile);
      this.#clear();
    });
  }

  async #submit(text) {
    const trimmed = text.trim();
    if (!trimmed) return;
    const replyTo = this.#replyTo?.id;
    this.#clear();
    const sent = await this.chat.send(trimmed, replyTo);
    if (!sent && !this.input.value) this.write(text);
  }

  #clear() {
    this.reply(null);
    this.input.value = "";
    this.#changed();
  }

  #toggleMenu() {
    this.input.focus();
    if (this.commands.open) this.commands.hide();
    else this.commands.show("");
    this.#point();
  }

  #changed() {
    this.input.style.height = "";
    const { scrollHeight } = this.input;
    if (this.input.value) this.input.style.height = `${Math.min(scrollHeight, 160)}px`;
    const typed = /^\/(\w*)$/.exec(this.input.value);
    if (typed) this.commands.show(typed[1]);
    else this.commands.hide();
    this.#point();
  }

  #point() {
    const active = this.commands.active;
    if (active) this.input.setAttribute("aria-activedescendant", active.id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  #keyed(event) {
    if (event.isComposing) return;
    if (this.commands.open && this.commands.keyed(event)) {
      this.#point();
    } else if (event.key === "Escape" && this.#replyTo) {
      this.reply(null);
    } else if (event.key === "Enter" && !event.shiftKey && !FINGERS.matches) {
      event.preventDefault();
      this.form.requestSubmit();
    }
  }
}
