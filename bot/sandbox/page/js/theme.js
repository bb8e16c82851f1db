// Light or dark: as the system says, until the person says otherwise.

import { fill, icon, whispered } from "./dom.js";

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Make `button` switch between light and dark. */
export function followTheme(button) {
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ?? (DARK.matches ? "dark" : "light")) === "dark";
  const draw = () => {
    const other = isDark() ? "light" : "dark";
    button.title = `Switch to ${other}`;
    fill(button, icon(isDark() ? "sun" : "moon"), whispered(`Switch to ${other}`));
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    draw();
  });
  DARK.addEventListener("change", draw);
  draw();
}
