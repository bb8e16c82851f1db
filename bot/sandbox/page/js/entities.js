// Text with Telegram's entities as elements. Offsets are UTF-16, as in JavaScript strings.

import { h } from "./dom.js";

const SAFE = new Set(["http:", "https:", "mailto:", "tg:"]);
const TAGS = {
  bold: "strong",
  italic: "em",
  underline: "u",
  strikethrough: "s",
  code: "code",
  blockquote: "blockquote",
};

/**
 * Nodes for `text`. `actions.command(text)` is called when a command in it is pressed,
 * `actions.copy(text)` for code.
 */
export function formatted(text, entities, actions) {
  const inOrder = [...entities].sort(
    (one, two) => one.offset - two.offset || two.length - one.length,
  );
  return build(text, 0, text.length, inOrder, actions);
}

function build(text, start, end, entities, actions) {
  const nodes = [];
  let at = start;
  let next = 0;
  while (next < entities.length) {
    const entity = entities[next];
    const from = Math.max(entity.offset, at);
    const to = Math.min(entity.offset + entity.length, end);
    next += 1;
    if (to <= from) continue;
    const inner = [];
    while (next < entities.length && entities[next].offset < to) inner.push(entities[next++]);
    if (from > at) nodes.push(text.slice(at, from));
    nodes.push(element(entity, text.slice(from, to), build(text, from, to, inner, actions), actions));
    at = to;
  }
  if (at < end) nodes.push(text.slice(at, end));
  return nodes;
}

function element(entity, text, children, actions) {
  if (entity.type === "code") {
    const copy = () => actions.copy(text);
    return h("code", { onclick: copy, title: "Copy" }, ...children);
  }
  if (TAGS[entity.type]) return h(TAGS[entity.type], {}, ...children);
  if (entity.type === "pre") return h("pre", {}, h("code", {}, ...children));
  if (entity.type === "text_link") return link(entity.url, children);
  if (entity.type === "url") return link(text, children);
  if (entity.type === "bot_command") {
    const send = () => actions.command(text);
    return h("button", { type: "button", class: "command", onclick: send }, text);
  }
  if (entity.type === "spoiler") return spoiler(children);
  if (entity.type === "expandable_blockquote") {
    return h("details", { class: "quote" }, h("summary", {}, "More"), ...children);
  }
  if (entity.type === "mention") return h("span", { class: "mention" }, ...children);
  return h("span", {}, ...children);
}

function link(url, children) {
  const safe = URL.canParse(url) && SAFE.has(new URL(url).protocol);
  if (!safe) return h("span", {}, ...children);
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

function spoiler(children) {
  const cover = h("span", { class: "spoiler", role: "button", tabIndex: 0, "aria-label": "Spoiler" });
  const show = () => {
    cover.classList.add("open");
    cover.removeAttribute("role");
    cover.removeAttribute("aria-label");
  };
  cover.append(...children);
  cover.addEventListener("click", show);
  cover.addEventListener("keydown", (event) => event.key === "Enter" && show());
  return cover;
}
