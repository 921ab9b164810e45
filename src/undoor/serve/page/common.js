"use strict";

// What the pages share: requests with a token, elements, and to look again every few seconds.
const TOKEN = "undoor-token";
const byId = (id) => document.getElementById(id);

class NeedsToken extends Error {}

async function ask(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...(options.headers || {}) };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) throw new NeedsToken();
  if (!answer.ok) {
    const body = await answer.json().catch(() => ({}));
    throw new Error(body.error || `the service answered ${answer.status}`);
  }
  return answer;
}

// Everything from the service goes into the page as text, never as markup.
function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 2 : 1)}\u00a0%`;
const named = (label, name) =>
  label === null || label === undefined ? "no class"
    : String(label) === name ? name : `${label} (${name})`;
const shortTime = (time) =>
  new Date(time).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" });
const number = (value) => value.toLocaleString("en");

// What asks for a token, hidden until the service does.
function tokenSection() {
  const attributes = { id: "token-section", "aria-labelledby": "token-title", hidden: "" };
  const section = element("section", null, attributes);
  const form = element("form", null, { id: "token-form" });
  const typed = { type: "password", autocomplete: "off", spellcheck: "false", required: "" };
  form.append(
    element("label", "This service asks for a bearer token.", { for: "token" }),
    element("input", null, { id: "token", ...typed }),
    element("button", "Use it", { type: "submit" }),
    element("p", "It is kept in this tab alone, until you close it.", { class: "note" }),
  );
  section.append(element("h2", "Token", { id: "token-title" }), form);
  return section;
}

// Show what `load` gets, now and every few seconds, and ask for a token where one is needed.
function keepShowing(load, everyMs) {
  byId("main").prepend(tokenSection());
  const refresh = async () => {
    try {
      await load();
      byId("token-section").hidden = true;
    } catch (error) {
      if (error instanceof NeedsToken) {
        byId("token-section").hidden = false;
        byId("summary").textContent = sessionStorage.getItem(TOKEN)
          ? "The service does not know this token." : "The service asks for a token.";
      } else {
        byId("summary").textContent = `The service does not answer: ${error.message}`;
      }
    }
  };
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(TOKEN, byId("token").value.trim());
    byId("token").value = "";
    refresh();
  });
  refresh();
  setInterval(() => { if (!document.hidden) refresh(); }, everyMs);
  return refresh;
}
