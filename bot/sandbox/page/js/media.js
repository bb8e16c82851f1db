// Photos, videos, stickers and files inside a message.

import { h, icon } from "./dom.js";
import { pictureDialog } from "./speak.js";

const PHOTO_WIDTH = 400;
const PHOTO_HEIGHT = 400;

/** The element that shows the media of `message`; its `dataset.url` says which it is. */
export function mediaOf(message) {
  const { media, kind } = message;
  let shown;
  if (kind === "photo") shown = photo(message);
  else if (kind === "video") shown = video(message);
  else if (kind === "sticker") shown = h("img", { class: "sticker", src: media.url, alt: "Sticker" });
  else shown = file(media);
  shown.dataset.url = media.url;
  return shown;
}

function photo(message) {
  const { url, width, height } = message.media;
  const image = h("img", { src: url, alt: "Picture", draggable: "false" });
  fit(image, width, height);
  const open = () => pictureDialog(url, firstWords(message.text), `picture-${message.id}.jpg`);
  return h("button", { class: "photo", type: "button", onclick: open, title: "Look closer" }, image);
}

function video(message) {
  const { url, width, height } = message.media;
  const player = h("video", {
    controls: true,
    playsinline: true,
    loop: true,
    preload: "metadata",
    "aria-label": "Video",
  });
  if (width) fit(player, width, height);
  player.addEventListener("loadedmetadata", () => fit(player, player.videoWidth, player.videoHeight));
  load(player, url);
  return h("div", { class: "video" }, player);
}

/** A local copy: one can jump about in it, though the sandbox sends files only as a whole. */
async function load(player, url) {
  try {
    const answer = await fetch(url);
    player.src = URL.createObjectURL(await answer.blob());
  } catch {
    player.src = url;
  }
}

function fit(element, width, height) {
  const scale = Math.min(1, PHOTO_WIDTH / width, PHOTO_HEIGHT / height);
  element.style.width = `${Math.round(width * scale)}px`;
  element.style.aspectRatio = `${width} / ${height}`;
}

function file(media) {
  const picture = (media.mime ?? "").startsWith("image/");
  const sign = picture
    ? h("img", { class: "file-sign", src: media.url, alt: "" })
    : h("span", { class: "file-sign" }, icon("file"));
  const words = h(
    "span",
    { class: "file-words" },
    h("span", { class: "file-name" }, media.name ?? "file"),
    h("span", { class: "file-size" }, bytes(media.size)),
  );
  return h("a", { class: "file", href: media.url, download: media.name ?? "file" }, sign, words);
}

function bytes(count) {
  if (!count) return "";
  if (count < 1024) return `${count} B`;
  if (count < 1024 * 1024) return `${Math.round(count / 1024)} KB`;
  return `${(count / 1024 / 1024).toFixed(1)} MB`;
}

/** The beginning of a text, in one line. */
export function firstWords(text, most = 80) {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

/** What a message is, in a few words. */
export function inShort(message, most) {
  const kinds = { photo: "Photo", video: "Video", document: "File", sticker: "Sticker" };
  const kind = kinds[message.kind];
  const text = firstWords(message.text, most);
  return kind ? `${kind}${text ? `, ${text}` : ""}` : text;
}
