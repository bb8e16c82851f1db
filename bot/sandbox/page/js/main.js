// Puts the page together.

import { People } from "./people.js";
import { Panel } from "./panel.js";
import { Store } from "./store.js";
import { followTheme } from "./theme.js";

const store = new Store();
const people = new People(store);
new Panel(store, (text) => people.write(text));
followTheme(document.getElementById("theme"));

const offline = document.getElementById("offline");
store.on("lost", () => (offline.hidden = false));
store.on("ready", () => {
  offline.hidden = true;
  document.body.dataset.ready = "true";
});
store.start();
