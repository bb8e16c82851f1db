// Elements made one by one: what people write is only ever text, never markup.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "tabIndex", "textContent"]);

/**
 * An element: h("button", { class: "send", onclick: send }, "Send").
 * Attributes that are null or false are left out; children that are null or false too.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...shown(children));
  return element;
}

/** Put `children` in the place of everything in `element`. */
export function fill(element, ...children) {
  element.replaceChildren(...shown(children));
  return element;
}

function shown(children) {
  return children.flat().filter((child) => child !== null && child !== undefined && child !== false);
}

/** Text for screen readers only. */
export function whispered(text) {
  return h("span", { class: "sr" }, text);
}

const PATHS = {
  add: ["M12 5v14", "M5 12h14"],
  attach: ["M20 11.500 12.300 19.200a5 5 0 0 1-7.100-7.100l8-8a3.400 3.400 0 0 1 4.800 4.800l-8 8a1.700 1.700 0 0 1-2.400-2.400l7.300-7.300"],
  close: ["M6 6l12 12", "M18 6 6 18"],
  down: ["M6 9l6 6 6-6"],
  file: ["M14 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8z", "M14 3v5h5"],
  gauge: ["M4 18a9 9 0 1 1 16 0", "M12 14l4-5"],
  language: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "M3 12h18", "M12 3c5 5 5 13 0 18", "M12 3c-5 5-5 13 0 18"],
  link: ["M8 16 17 7", "M9 7h8v8"],
  menu: ["M5 7h14", "M5 12h14", "M5 17h9"],
  moon: ["M20 14.500A8 8 0 0 1 9.500 4 8 8 0 1 0 20 14.500z"],
  reply: ["M10 8V4l-7 7 7 7v-4c5 0 8 1.500 11 5-1-6-4-11-11-11z"],
  send: ["M4 12 20 4l-5 16-3.500-6.500z", "M11.500 13.500 20 4"],
  sun: ["M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z", "M12 2v2", "M12 20v2", "M2 12h2", "M20 12h2",
    "M5 5l1.400 1.400", "M17.600 17.600 19 19", "M5 19l1.400-1.400", "M17.600 6.400 19 5"],
};

/** A line drawing, hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  for (const path of PATHS[name]) {
    const drawn = document.createElementNS("http://www.w3.org/2000/svg", "path");
    drawn.setAttribute("d", path);
    svg.append(drawn);
  }
  return svg;
}

const tones = new Map();

/** A person's round picture: the initial on a colour, another for each of the first six. */
export function avatar(name, id) {
  if (!tones.has(id)) tones.set(id, tones.size % 6);
  const tone = tones.get(id);
  return h("span", { class: `avatar tone-${tone}`, "aria-hidden": "true" }, [...name][0] ?? "?");
}
