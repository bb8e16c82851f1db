// The list of messages of one chat: kept in order, edited in place, scrolled as one expects.

import { fill, h, icon, whispered } from "./dom.js";
import { bubbleOf } from "./message.js";

const NEAR_PIXELS = 60;
const dayName = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });

export class MessageLog {
  #items = new Map();
  #pinned = true;
  #unseen = 0;
  #top = 0;

  /** `view` is what bubbles need, see `bubbleOf`. */
  constructor(label, view) {
    this.view = view;
    this.list = h("ol", { class: "log", role: "list", "aria-label": label });
    this.badge = h("span", { class: "badge", hidden: true });
    this.down = h(
      "button",
      { class: "to-end", type: "button", hidden: true, onclick: () => this.toEnd() },
      icon("down"),
      whispered("To the newest message"),
      this.badge,
    );
    const hint = h("p", { class: "sr", id: `hint-${Math.random().toString(36).slice(2)}` },
      "Arrow keys move between messages, R replies.");
    this.list.setAttribute("aria-describedby", hint.id);
    this.scroller = h("div", { class: "scroller" }, this.list);
    this.element = h("div", { class: "log-frame" }, this.scroller, this.down, hint);
    this.scroller.addEventListener("scroll", () => this.#scrolled());
    this.list.addEventListener("keydown", (event) => this.#keyed(event));
    // Pictures that arrive, and a keyboard that opens, must not push the newest message away.
    const keep = new ResizeObserver(() => this.#pinned && this.toEnd("instant"));
    keep.observe(this.list);
    keep.observe(this.scroller);
  }

  /** Show exactly these messages. */
  reset(messages) {
    this.#items.clear();
    let day = "";
    const nodes = [];
    for (const group of grouped(messages)) {
      const today = dayName.format(new Date(group[0].date));
      if (today !== day) nodes.push(h("li", { class: "day" }, h("span", {}, today)));
      day = today;
      const item = bubbleOf(group, this.view);
      this.#items.set(keyOf(group[0]), item);
      nodes.push(item);
    }
    fill(this.list, ...nodes);
    this.#rove(this.list.querySelector("li.row:last-child"));
    this.toEnd("instant");
  }

  /** Show `message`, new or changed; `messages` are all of the chat. */
  put(message, messages, edited = true) {
    const key = keyOf(message);
    const old = this.#items.get(key);
    const group = messages.filter((one) => keyOf(one) === key);
    if (!old && message.id !== messages.at(-1)?.id) return this.reset(messages);
    if (!group.length) return this.#remove(key, old);
    const focused = old?.contains(document.activeElement) ? document.activeElement : null;
    const item = bubbleOf(group, this.view, old);
    this.#items.set(key, item);
    if (old) {
      item.classList.toggle("edited-now", edited);
      item.tabIndex = old.tabIndex;
      // In this order the list is never shorter in between, which would move what is seen.
      old.before(item);
      if (focused) this.#refocus(focused, item);
      old.remove();
      if (this.#pinned) this.toEnd("instant");
    } else {
      if (!this.list.children.length) return this.reset(messages);
      this.list.append(item);
      this.#rove(item);
      if (this.#pinned || message.sender?.id === this.view.person.id) this.toEnd();
      else this.#unseen += 1;
      this.#scrolled();
    }
  }

  #remove(key, item) {
    this.#items.delete(key);
    item?.remove();
  }

  /** Give the focus back to what had it before it was drawn again, or to its like. */
  #refocus(focused, item) {
    const key = focused.dataset.data;
    const like = [...item.querySelectorAll(".key")].find((one) => key && one.dataset.data === key);
    const target = item.contains(focused) ? focused : (like ?? item);
    target.focus({ preventScroll: true });
  }

  /** Draw one message again, because something about it changed on this side. */
  redraw(message, messages) {
    if (this.#items.has(keyOf(message))) this.put(message, messages, false);
  }

  /** Go to a message and point it out. */
  jump(id) {
    const item = this.list.querySelector(`[data-id="${Number(id)}"]`);
    if (!item) return;
    item.scrollIntoView({ block: "center", behavior: "smooth" });
    item.classList.remove("pointed-at");
    requestAnimationFrame(() => item.classList.add("pointed-at"));
    this.#rove(item);
    item.focus({ preventScroll: true });
  }

  toEnd(behavior = "smooth") {
    this.#pinned = true;
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior });
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    // Only going up lets go of the end: growing pictures and smooth scrolling do not.
    if (scrollHeight - scrollTop - clientHeight < NEAR_PIXELS) this.#pinned = true;
    else if (scrollTop < this.#top) this.#pinned = false;
    this.#top = scrollTop;
    if (this.#pinned) this.#unseen = 0;
    this.down.hidden = this.#pinned;
    this.badge.hidden = !this.#unseen;
    this.badge.textContent = String(this.#unseen);
  }

  /** Of all messages one can be reached with Tab: the one where the arrow keys were last. */
  #rove(item) {
    if (!item) return;
    for (const other of this.list.querySelectorAll('li[tabindex="0"]')) other.tabIndex = -1;
    item.tabIndex = 0;
  }

  #keyed(event) {
    const item = event.target.closest("li.row");
    if (event.target !== item || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = [...this.list.querySelectorAll("li.row")];
    const at = rows.indexOf(item);
    const next = {
      ArrowUp: rows[at - 1],
      ArrowDown: rows[at + 1],
      Home: rows[0],
      End: rows.at(-1),
    }[event.key];
    if (next) {
      event.preventDefault();
      this.#rove(next);
      next.focus();
    } else if (event.key === "r" || event.key === "R") {
      event.preventDefault();
      item.querySelector(".reply-to")?.click();
    }
  }
}

function keyOf(message) {
  return message.album ? `album:${message.album}` : `message:${message.id}`;
}

function grouped(messages) {
  const groups = new Map();
  for (const message of messages) {
    const key = keyOf(message);
    groups.set(key, [...(groups.get(key) ?? []), message]);
  }
  return groups.values();
}
