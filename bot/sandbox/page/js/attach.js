// A look at a picture before it is sent, with room for a caption.

import { h } from "./dom.js";
import { formDialog } from "./speak.js";

/** Ask for the caption of `file`; `send(caption, asFile)` sends it and may throw an Error. */
export function attachDialog(file, caption, send) {
  const url = URL.createObjectURL(file);
  const words = h("textarea", {
    name: "caption",
    rows: 2,
    maxlength: 1024,
    placeholder: "/image in autumn colours",
    "aria-label": "Caption",
    value: caption,
  });
  const start = (command) => () => {
    words.value = `${command} ${words.value.replace(/^\/\w+\s*/, "")}`;
    words.focus();
  };
  const chip = (command) =>
    h("button", { type: "button", class: "chip", onclick: start(command) }, command);
  const dialog = formDialog(
    "Send a picture",
    [
      h("img", { class: "preview", src: url, alt: `Preview of ${file.name || "the picture"}` }),
      h("label", { class: "field" }, h("span", {}, "Caption"), words),
      h("div", { class: "chips" }, chip("/image"), chip("/video")),
      h("label", { class: "tick" },
        h("input", { type: "checkbox", name: "file" }),
        "As a file, in full size"),
    ],
    "Send",
    async (form) => send(String(form.get("caption")).trim(), form.get("file") !== null),
  );
  words.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    words.form.requestSubmit();
  });
  dialog.addEventListener("close", () => URL.revokeObjectURL(url));
  words.focus();
}
