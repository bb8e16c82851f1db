// What the page knows of the sandbox, kept up to date by its events.

import { api, listen } from "./api.js";

/**
 * Emits: `ready`, `people`, `commands` {personId}, `reload` {chatId}, `message` {message, before},
 * `action` {chatId, action}, `fal`, `lost`.
 */
export class Store extends EventTarget {
  bot = { first_name: "Bot", username: "bot" };
  people = new Map();
  chats = new Map();
  messages = new Map();
  commands = new Map();
  fal = null;
  #loading = null;
  #waiting = [];
  #falAsked = false;

  start() {
    listen((event) => this.#take(event), () => this.emit("lost"));
  }

  on(name, listener) {
    this.addEventListener(name, (event) => listener(event.detail));
  }

  emit(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** The visible messages of a chat, oldest first. */
  shown(chatId) {
    return [...(this.messages.get(chatId)?.values() ?? [])].sort((one, two) => one.id - two.id);
  }

  message(chatId, id) {
    return this.messages.get(chatId)?.get(id);
  }

  /** The chats that a person is in, the private one first. */
  chatsOf(person) {
    const groups = [...this.chats.values()].filter(
      (chat) => chat.type !== "private" && chat.members.includes(person.id) && !chat.migrated_to,
    );
    return [this.chats.get(person.chat_id), ...groups].filter(Boolean);
  }

  isAdmin(person) {
    // Telegram knows no role of the bot's; only administrators are offered this command.
    return (this.commands.get(person.id) ?? []).some((one) => one.command === "approve");
  }

  async #take(event) {
    if (event.type === "hello") {
      this.#waiting = [];
      this.#loading = this.#load();
      await this.#loading;
      this.#loading = null;
      const waiting = this.#waiting.splice(0);
      this.emit("ready");
      for (const one of waiting) this.#apply(one);
    } else if (this.#loading) {
      this.#waiting.push(event);
    } else {
      this.#apply(event);
    }
  }

  async #load() {
    const state = await api.state();
    this.bot = state.telegram.bot;
    this.fal = state.fal;
    this.#takePeople(state.telegram);
    await Promise.all([
      ...[...this.chats.keys()].map(async (chatId) => {
        const messages = await api.messages(chatId);
        this.messages.set(chatId, new Map(messages.map((message) => [message.id, message])));
      }),
      this.#loadCommands(),
    ]);
  }

  #takePeople(telegram) {
    this.people = new Map(telegram.people.map((person) => [person.id, person]));
    this.chats = new Map(telegram.chats.map((chat) => [chat.id, chat]));
    for (const chatId of this.chats.keys()) {
      if (!this.messages.has(chatId)) this.messages.set(chatId, new Map());
    }
  }

  async #loadCommands() {
    await Promise.all([...this.people.values()].map(async (person) => {
      this.commands.set(person.id, await api.commands(person.chat_id, person.id));
    }));
    this.emit("commands");
  }

  #apply(event) {
    if (event.type === "message" || event.type === "edit" || event.type === "delete") {
      this.#applyMessage(event);
    } else if (event.type === "action") {
      this.emit("action", { chatId: event.chat_id, action: event.action });
    } else if (event.type === "people") {
      this.#reloadPeople();
    } else if (event.type === "commands") {
      this.#loadCommands();
    } else if (event.type === "fal") {
      this.askFal();
    }
  }

  #applyMessage(event) {
    const known = this.messages.get(event.chat_id);
    if (!known || !event.message) return;
    const before = known.get(event.message_id);
    if (event.message.deleted) known.delete(event.message_id);
    else known.set(event.message_id, event.message);
    this.emit("message", { message: event.message, before });
  }

  async #reloadPeople() {
    this.#takePeople((await api.state()).telegram);
    this.emit("people");
    await this.#loadCommands();
  }

  /** Read fal's state; many changes at once are read once. */
  async askFal() {
    if (this.#falAsked) return;
    this.#falAsked = true;
    await new Promise((resolve) => setTimeout(resolve, 80));
    this.#falAsked = false;
    try {
      this.fal = await api.fal();
      this.emit("fal");
    } catch {
      // The connection is gone; when it is back everything is read again.
    }
  }
}
