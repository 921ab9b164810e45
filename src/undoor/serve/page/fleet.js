"use strict";

const EVERY_MS = 30000;
// What needs a person's eyes comes first.
const ORDER = ["backdoored", "failed", "inconclusive", "running", "waiting", "clean"];
const WORDS = { clean: "no backdoor found", waiting: "not yet examined" };
const MAX_REASON = 300;
let shown = "";

const wordOf = (model) => model.verdict || model.state;
const inWords = (word) => WORDS[word] || word;
const shortened = (text) =>
  text.length > MAX_REASON ? `${text.slice(0, MAX_REASON - 1)}…` : text;

function targetsOf(model) {
  if (!model.targets.length) return element("td", "–");
  const list = element("ul", null, { class: "plain" });
  for (const item of model.targets) {
    const repaired = item.repaired_asr === null ? ""
      : `, with the repair ${percent(item.repaired_asr)}`;
    list.append(element("li", `${named(item.target, item.class_name)}: ${item.family}, ` +
      `p\u00a0=\u00a0${item.p_value.toPrecision(2)}, moves ${percent(item.asr)}${repaired}`));
  }
  const cell = element("td", null, { class: "wide" });
  cell.append(list);
  return cell;
}

function whyOf(model) {
  if (model.problem) return `${model.problem.message}; ${model.problem.what_to_do}`;
  return model.reasons[0] || "";
}

// A link carries no token: with one, the report is fetched and saved as a file.
async function save(event, path, name) {
  if (!sessionStorage.getItem(TOKEN)) return;
  event.preventDefault();
  const blob = await (await ask(path)).blob();
  const link = element("a", null, { href: URL.createObjectURL(blob), download: `${name}.html` });
  link.click();
  URL.revokeObjectURL(link.href);
}

function reportOf(model) {
  if (!model.report) return element("td", model.date ? "not on this machine" : "–");
  const link = element("a", "Report", {
    href: model.report, "aria-label": `Report of ${model.name}`,
  });
  link.addEventListener("click", (event) => save(event, model.report, model.name));
  const cell = element("td");
  cell.append(link);
  return cell;
}

function rowOf(model) {
  const word = wordOf(model);
  const row = element("tr");
  const verdict = element("td");
  verdict.append(element("span", inWords(word), { class: `mark ${word}` }));
  const date = model.date ? shortTime(model.date) : "–";
  row.append(element("th", model.name, { scope: "row" }), verdict, targetsOf(model),
    element("td", shortened(whyOf(model)), { class: "wide why" }), element("td", date), reportOf(model));
  return row;
}

async function load() {
  const text = await (await ask("fleet/models")).text();
  if (text === shown) return;
  const fleet = JSON.parse(text);
  const place = (model) => ORDER.indexOf(wordOf(model));
  const models = [...fleet.models].sort((a, b) => place(a) - place(b));
  byId("models").replaceChildren(...models.map(rowOf));
  const counts = ORDER.filter((word) => fleet.counts[word])
    .map((word) => `${number(fleet.counts[word])} ${inWords(word)}`);
  byId("summary").textContent = `${number(models.length)} models: ${counts.join(", ")}.`;
  shown = text;
}

keepShowing(load, EVERY_MS);
