// One bubble: a message, or an album of several.

import { avatar, h, icon, whispered } from "./dom.js";
import { formatted } from "./entities.js";
import { inShort, mediaOf } from "./media.js";

// So much of a message is read out when the arrow keys come to it.
const SPOKEN = 600;
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });

/**
 * The list item for `messages`: one, or those of an album. `view` has `person`, `bot`, `find(id)`,
 * `pressed` (a Set of what waits for the bot) and the actions `press`, `reply`, `jump`, `command`,
 * `copy`, `home`. Media that `old` shows already are taken over from it, so that a video goes on playing.
 */
export function bubbleOf(messages, view, old) {
  const [first] = messages;
  if (first.kind === "service") return service(first);
  const own = first.sender?.id === view.person.id;
  const others = !own && !first.from_bot;
  // As in Telegram: words of one picture are those of the album, of several each one's own.
  const spoken = messages.filter((message) => message.text);
  const words = spoken.length === 1 ? spoken[0] : first;
  const shown = messages.length === 1 || spoken.length === 1;
  const last = messages.at(-1);
  const who = own ? "You" : first.from_bot ? view.bot.first_name : first.sender.name;
  const item = h("li", {
    class: `row ${own ? "own" : "theirs"}${first.media ? " with-media" : ""} kind-${first.kind}`,
    tabIndex: -1,
    "aria-label": `${who}: ${inShort(words, SPOKEN)}`,
    dataset: { id: first.id },
  });
  const bubble = h(
    "div",
    { class: "bubble" },
    whispered(`${who}: `),
    others && h("span", { class: "sender" }, first.sender.name),
    quoteOf(first, view),
    mediaBlock(messages, old),
    words.text && shown
      ? h("div", { class: "text" }, ...formatted(words.text, words.entities, view), stamp(last))
      : stamp(last),
  );
  const reply = h(
    "button",
    {
      class: "reply-to",
      type: "button",
      tabIndex: -1,
      title: "Reply (R)",
      onclick: () => view.reply(last),
    },
    icon("reply"),
    whispered("Reply"),
  );
  const side = others && avatar(first.sender.name, first.sender.id);
  const column = h("div", { class: "column" }, bubble, keyboardOf(last, view, old));
  item.append(...[side, column, reply].filter(Boolean));
  item.addEventListener("dblclick", (event) => {
    if (!event.target.closest("button, a, video")) view.reply(last);
  });
  return item;
}

function service(message) {
  const [what] = Object.keys(message.service ?? { service: 1 });
  const name = message.service?.[what]?.name;
  const text = `${what.replaceAll("_", " ")}${name ? `: ${name}` : ""}`;
  return h("li", { class: "row service", dataset: { id: message.id } }, h("span", {}, text));
}

function quoteOf(message, view) {
  if (!message.reply_to) return null;
  const answered = view.find(message.reply_to);
  const who = !answered ? "" : answered.from_bot ? view.bot.first_name : answered.sender.name;
  const picture = answered?.kind === "photo" && h("img", { src: answered.media.url, alt: "" });
  return h(
    "button",
    { class: "quoted", type: "button", onclick: () => view.jump(message.reply_to) },
    picture,
    h(
      "span",
      { class: "quoted-words" },
      whispered("In reply to "),
      h("span", { class: "quoted-who" }, who || "Deleted message"),
      h("span", { class: "quoted-what" }, answered ? inShort(answered) : ""),
    ),
  );
}

function mediaBlock(messages, old) {
  const withMedia = messages.filter((message) => message.media);
  if (!withMedia.length) return null;
  const known = new Map(
    [...(old?.querySelectorAll("[data-url]") ?? [])].map((shown) => [shown.dataset.url, shown]),
  );
  const shown = withMedia.map((message) => known.get(message.media.url) ?? mediaOf(message));
  return h("div", { class: shown.length > 1 ? "media album" : "media" }, ...shown);
}

function stamp(message) {
  return h(
    "span",
    { class: "stamp" },
    message.edited && h("span", { class: "edited" }, "edited "),
    h("time", { datetime: message.date }, clock.format(new Date(message.date))),
  );
}

function keyboardOf(message, view, old) {
  if (!message.buttons.length) return null;
  // The same buttons stay, so that a press is not lost when the text over them changes.
  const pressed = [...view.pressed].filter((name) => name.startsWith(`${message.id}:`));
  const signature = JSON.stringify([message.buttons, pressed]);
  const known = old?.querySelector(".keyboard");
  if (known?.dataset.signature === signature) return known;
  const rows = message.buttons.map((row) =>
    h("div", { class: "keys" }, ...row.map((button) => key(message, button, view))));
  return h("div", { class: "keyboard", dataset: { signature } }, ...rows);
}

function key(message, button, view) {
  if (button.url === `https://t.me/${view.bot.username}`) {
    // A link to the bot leads to the private chat with it.
    return h("button", { class: "key", type: "button", onclick: view.home },
      h("span", {}, button.text));
  }
  if (button.url) {
    const attributes = { class: "key", href: button.url, target: "_blank", rel: "noopener noreferrer" };
    return h("a", attributes, h("span", {}, button.text), icon("link"));
  }
  if (button.copy_text) {
    const copy = () => view.copy(button.copy_text.text);
    return h("button", { class: "key", type: "button", onclick: copy }, h("span", {}, button.text));
  }
  const data = button.callback_data;
  const waiting = view.pressed.has(`${message.id}:${data}`);
  return h(
    "button",
    {
      class: "key",
      type: "button",
      title: button.text,
      disabled: data === undefined,
      "aria-busy": waiting ? "true" : null,
      dataset: { data: data ?? "" },
      onclick: () => view.press(message, data),
    },
    h("span", {}, button.text),
    h("span", { class: "spinner", "aria-hidden": "true" }),
  );
}
