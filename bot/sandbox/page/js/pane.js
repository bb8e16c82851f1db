// One person's screen: the head with who they are, the messages, the composer.

import { api } from "./api.js";
import { Composer } from "./composer.js";
import { avatar, fill, h, icon } from "./dom.js";
import { MessageLog } from "./log.js";
import { inShort } from "./media.js";
import { alertDialog, announce, toast } from "./speak.js";

const LANGUAGES = [["en", "English"], ["fr", "Français"], ["de", "Deutsch"]];
const ACTION_MILLISECONDS = 5500;
const ACTIONS = {
  typing: "is typing",
  upload_photo: "is sending a photo",
  record_video: "is recording a video",
  upload_video: "is sending a video",
  upload_document: "is sending a file",
};

export class Pane {
  #actionEnds = 0;
  #drawn = "";

  constructor(store, personId) {
    this.store = store;
    this.personId = personId;
    this.chatId = this.person.chat_id;
    const name = this.person.name;
    this.pressed = new Set();
    this.view = {
      person: this.person,
      bot: store.bot,
      pressed: this.pressed,
      find: (id) => store.message(this.chatId, id),
      press: (message, data) => this.#press(message, data),
      reply: (message) => this.#reply(message),
      jump: (id) => this.log.jump(id),
      command: (text) => this.#send(text),
      copy: (text) => this.#copy(text),
      home: () => this.open(this.person.chat_id),
    };
    this.log = new MessageLog(`Messages of ${name}`, this.view);
    this.composer = new Composer(`Message as ${name}`, {
      send: (text, replyTo) => this.#send(text, replyTo),
      upload: (...given) => api.upload(this.chatId, this.personId, ...given),
    });
    this.head = h("header", { class: "head" });
    this.toasts = h("div", { class: "toasts" });
    this.empty = h(
      "p",
      { class: "empty" },
      h("strong", {}, "No messages here yet"),
      h("span", {}, "Press Start, and the bot answers."),
    );
    this.element = h(
      "section",
      { class: "pane", "aria-label": `Chat of ${name}`, dataset: { person: personId } },
      this.head,
      this.log.element,
      this.empty,
      this.toasts,
      this.composer.element,
    );
    this.#acceptDrops();
    this.refresh();
    this.reload();
  }

  get person() {
    return this.store.people.get(this.personId);
  }

  get messages() {
    return this.store.shown(this.chatId);
  }

  /** Draw the head and what depends on the person again. */
  refresh() {
    const person = this.person;
    this.view.person = person;
    this.view.bot = this.store.bot;
    this.composer.commands.commands = this.store.commands.get(person.id) ?? [];
    const chats = this.store.chatsOf(person).map((chat) => [chat.id, chat.title]);
    const drawn = JSON.stringify([person, this.store.isAdmin(person), chats, this.chatId]);
    // A list that is open would close if it was drawn again.
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.status = h("p", { class: "head-status" });
    fill(
      this.head,
      avatar(person.name, person.id),
      h(
        "div",
        { class: "head-words" },
        h(
          "h2",
          { class: "head-name" },
          person.name,
          this.store.isAdmin(person) && h("span", { class: "role" }, "admin"),
        ),
        this.status,
      ),
      this.#chatChoice(),
      this.#languageChoice(person),
    );
    this.#showStatus();
  }

  /** Draw all messages again. */
  reload() {
    this.log.reset(this.messages);
    this.#showBeginning();
  }

  #showBeginning() {
    const chat = this.store.chats.get(this.chatId);
    const begun = chat?.type !== "private" || this.messages.length > 0;
    this.composer.started = begun;
    this.empty.hidden = begun;
  }

  #languageChoice(person) {
    const known = LANGUAGES.some(([code]) => code === person.language);
    const codes = known ? LANGUAGES : [...LANGUAGES, [person.language ?? "", person.language ?? "—"]];
    const choice = h(
      "select",
      { "aria-label": `Language of ${person.name}`, onchange: () => this.#speak(choice.value) },
      ...codes.map(([code, name]) => h("option", { value: code }, name)),
    );
    choice.value = person.language ?? "";
    return h("label", { class: "pill", title: "The language of their Telegram" },
      icon("language"), choice);
  }

  #chatChoice() {
    const chats = this.store.chatsOf(this.person);
    if (chats.length < 2) return null;
    const choice = h(
      "select",
      { "aria-label": `Chat of ${this.person.name}`, onchange: () => this.open(Number(choice.value)) },
      ...chats.map((chat) =>
        h("option", { value: chat.id }, chat.type === "private" ? "Private" : chat.title)),
    );
    choice.value = String(this.chatId);
    return h("label", { class: "pill" }, choice);
  }

  /** Show another chat that the person is in. */
  open(chatId) {
    this.chatId = chatId;
    this.composer.reply(null);
    this.refresh();
    this.reload();
  }

  async #speak(language) {
    await api.changePerson(this.personId, { language });
  }

  // -- what happens ------------------------------------------------------------------------------

  /** A message of this chat is new, changed or gone. */
  changed(message, before) {
    this.log.put(message, this.messages);
    this.#showBeginning();
    if (!message.from_bot || message.deleted) return;
    this.#endAction();
    const turned = before && before.kind !== message.kind;
    if (!this.element.hidden && (!before || turned)) {
      announce(`${this.store.bot.first_name} to ${this.person.name}: ${inShort(message)}`);
    }
  }

  /** The bot does something that takes a while. */
  acts(action) {
    this.#actionEnds = Date.now() + ACTION_MILLISECONDS;
    this.#showStatus(ACTIONS[action] ?? "is busy");
    setTimeout(() => Date.now() >= this.#actionEnds && this.#showStatus(), ACTION_MILLISECONDS);
  }

  #endAction() {
    this.#actionEnds = 0;
    this.#showStatus();
  }

  #showStatus(action) {
    const { first_name: bot } = this.store.bot;
    const chat = this.store.chats.get(this.chatId);
    const where = chat?.type === "private" ? `talks with ${bot}` : `in ${chat?.title}`;
    this.status.classList.toggle("acting", Boolean(action));
    const dots = h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
    fill(this.status, action ? `${bot} ${action}` : where, action && dots);
  }

  // -- what the person does ----------------------------------------------------------------------

  async #send(text, replyTo) {
    try {
      await api.send(this.chatId, this.personId, text, replyTo);
      return true;
    } catch (error) {
      toast(this.toasts, error.message);
      return false;
    }
  }

  #reply(message) {
    const name = message.from_bot ? this.store.bot.first_name : message.sender.name;
    this.composer.reply(message, name);
  }

  async #copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      toast(this.toasts, "Copied");
    } catch {
      toast(this.toasts, "The browser does not let this page copy");
    }
  }

  async #press(message, data) {
    const name = `${message.id}:${data}`;
    if (this.pressed.has(name)) return;
    this.pressed.add(name);
    this.#redraw(message.id);
    try {
      const answer = await api.press(this.chatId, this.personId, message.id, data);
      if (answer.url) window.open(answer.url, "_blank", "noopener");
      else if (answer.text && answer.alert) alertDialog(this.store.bot.first_name, answer.text);
      else if (answer.text) toast(this.toasts, answer.text);
    } catch (error) {
      toast(this.toasts, error.message);
    } finally {
      this.pressed.delete(name);
      this.#redraw(message.id);
    }
  }

  #redraw(id) {
    const message = this.store.message(this.chatId, id);
    if (message) this.log.redraw(message, this.messages);
  }

  #acceptDrops() {
    const over = (event) => event.dataTransfer?.types.includes("Files");
    this.element.addEventListener("dragover", (event) => {
      if (!over(event)) return;
      event.preventDefault();
      this.element.classList.add("drop");
    });
    this.element.addEventListener("dragleave", (event) => {
      if (!this.element.contains(event.relatedTarget)) this.element.classList.remove("drop");
    });
    this.element.addEventListener("drop", (event) => {
      if (!over(event)) return;
      event.preventDefault();
      this.element.classList.remove("drop");
      const [file] = event.dataTransfer.files;
      if (file) this.composer.attach(file);
    });
  }

  /** The name of this pane, for screen readers that jump to it. */
  focus() {
    const { input, begin } = this.composer;
    (input.form.hidden ? begin : input).focus();
  }
}

