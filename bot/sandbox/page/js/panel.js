// The other side of the bot: what fal sees and bills, and levers to make things happen there.

import { api } from "./api.js";
import { fill, h, icon, whispered } from "./dom.js";
import { firstWords } from "./media.js";

const WIDE = matchMedia("(min-width: 1180px)");
const SHOWN_REQUESTS = 20;
const PACES = [["paced", "As real"], ["instant", "At once"], ["manual", "By hand"]];
const IDEAS = [
  ["/setbudget 1.00", "give yourself a dollar"],
  ["/image a lighthouse at dawn", "a picture"],
  ["/image a paper boat --n 3", "three at once, then all as an album"],
  ["/video waves rolling in", "a video, or as a reply to a picture"],
  ["/budget", "what is left; it keeps itself up to date"],
  ["/dashboard", "where the money went"],
];

export class Panel {
  /** `write(text)` puts a command in front of the person who is looked at. */
  constructor(store, write) {
    this.store = store;
    this.element = document.getElementById("panel");
    this.toggle = document.getElementById("panel-toggle");
    this.toggle.prepend(icon("gauge"));
    this.toggle.title = "What fal sees";
    this.toggle.addEventListener("click", () => this.#open(this.element.hidden));
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !WIDE.matches) this.#open(false);
    });
    WIDE.addEventListener("change", () => this.#open(WIDE.matches));
    this.#build(write);
    this.#open(WIDE.matches && localStorage.getItem("panel") !== "closed", false);
    store.on("ready", () => this.#draw());
    store.on("fal", () => this.#draw());
  }

  #open(open, chosen = true) {
    this.element.hidden = !open;
    this.toggle.setAttribute("aria-expanded", String(open));
    document.body.classList.toggle("panel-open", open);
    if (chosen && WIDE.matches) localStorage.setItem("panel", open ? "open" : "closed");
    if (chosen && !WIDE.matches) (open ? this.close : this.toggle).focus();
  }

  #build(write) {
    this.close = h(
      "button",
      { class: "round panel-close", type: "button", onclick: () => this.#open(false) },
      icon("close"),
      whispered("Close"),
    );
    this.balance = h("p", { class: "balance" });
    this.billed = h("p", { class: "billed" });
    this.requests = h("ol", { class: "requests", role: "list" });
    this.paces = PACES.map(([value, name]) =>
      h("label", { class: "segment" },
        h("input", { type: "radio", name: "pace", value, onchange: () => this.#pace(value) }),
        h("span", {}, name)));
    this.locked = h("input", { type: "checkbox", onchange: () => this.#lock() });
    this.failing = h("button", { type: "button", class: "chip", onclick: () => this.#failNext() },
      "Let the next one fail");
    const ideas = IDEAS.map(([text, why]) =>
      h("li", {}, h("button", { type: "button", class: "idea", onclick: () => this.#write(write, text) },
        h("code", {}, text), h("span", {}, why))));
    fill(
      this.element,
      h("div", { class: "panel-head" }, h("h2", {}, "What fal sees"), this.close),
      h("p", { class: "panel-note" }, "A stand-in for fal.ai on this machine. It costs nothing."),
      h("div", { class: "figures" }, this.balance, this.billed),
      h("fieldset", { class: "segments" }, h("legend", {}, "Pace"), ...this.paces),
      h("h3", {}, "Requests"),
      this.requests,
      h("h3", {}, "Trouble"),
      h("div", { class: "trouble" },
        h("label", { class: "tick" }, this.locked, "The account is out of credit"), this.failing),
      h("h3", {}, "Things to try"),
      h("ul", { class: "ideas", role: "list" }, ...ideas),
    );
  }

  #write(write, text) {
    if (!WIDE.matches) this.#open(false);
    write(text);
  }

  async #pace(pace) {
    await api.changeFal({ pace });
    // Whatever waits goes on when nobody is there to push it.
    if (pace !== "manual") {
      const open = this.store.fal.requests.filter((one) => ["queued", "running"].includes(one.state));
      for (const one of open) await api.act(one.request_id, "complete").catch(() => {});
    }
  }

  async #lock() {
    const locked = this.locked.checked ? "Exhausted balance. Top up your balance." : null;
    await api.changeFal({ locked });
  }

  async #failNext() {
    await api.order({ side: "fal", kind: "fails", operation: "job", status: 422 });
    fill(this.failing, "The next one will fail");
    this.failing.disabled = true;
    this.failsAfter = this.store.fal.requests.length;
  }

  #draw() {
    const { fal } = this.store;
    fill(this.balance, h("span", { class: "figure" }, dollars(fal.balance_nanos)), " balance");
    fill(this.billed, h("span", { class: "figure" }, dollars(fal.bill_total_nanos)), " billed here");
    for (const { firstChild: input } of this.paces) input.checked = input.value === fal.pace;
    this.locked.checked = Boolean(fal.locked);
    const done = fal.requests.slice(this.failsAfter ?? 0).some((one) => one.state === "completed");
    if (this.failing.disabled && done) {
      this.failing.disabled = false;
      fill(this.failing, "Let the next one fail");
    }
    const newest = fal.requests.slice(-SHOWN_REQUESTS).reverse();
    const none = h("li", { class: "none" }, "None yet.");
    fill(this.requests, ...(newest.length ? newest.map((one) => this.#request(one)) : [none]));
  }

  #request(one) {
    const [state, kind] = stateOf(one);
    const open = one.state === "queued" || one.state === "running";
    const act = (what) => () => api.act(one.request_id, what).catch(() => {});
    const levers = this.store.fal.pace === "manual" && open && h(
      "div",
      { class: "levers" },
      one.state === "queued" && h("button", { class: "chip", onclick: act("start") }, "Start"),
      h("button", { class: "chip", onclick: act("complete") }, "Finish"),
      h("button", { class: "chip", onclick: act("fail") }, "Fail"),
    );
    return h(
      "li",
      { class: "request" },
      h("div", { class: "request-head" },
        h("span", { class: "request-model" }, one.endpoint_id.replace(/^fal-ai\//, "")),
        h("span", { class: `state ${kind}` }, state)),
      h("p", { class: "request-prompt" }, firstWords(one.arguments.prompt ?? "", 60)),
      one.state === "running" && h("progress", { max: 100, value: percentOf(one), "aria-label": "Done" }),
      levers,
    );
  }
}

function stateOf(one) {
  if (one.state === "queued") return [one.position ? `${one.position} ahead` : "queued", "waiting"];
  if (one.state === "running") return [`${percentOf(one)} %`, "working"];
  if (one.state === "removed" || one.status_code === 499) return ["cancelled", "stopped"];
  if (one.status_code === 200) return [dollars(one.billed_nanos), "done"];
  return [`error ${one.status_code}`, "failed"];
}

function percentOf(one) {
  const found = /(\d+)%/.exec(one.logs.at(-1) ?? "");
  return found ? Number(found[1]) : 0;
}

/** Nano-dollars for people, with all digits that they carry, at least two. */
function dollars(nanos) {
  const sign = nanos < 0 ? "-" : "";
  const digits = String(Math.abs(nanos)).padStart(10, "0");
  const rest = digits.slice(-9).replace(/0+$/, "").padEnd(2, "0");
  return `${sign}$${digits.slice(0, -9)}.${rest}`;
}
