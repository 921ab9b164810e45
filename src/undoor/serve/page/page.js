"use strict";

const EVERY_MS = 5000;
const MINUTES = 60;
const SVG = "http://www.w3.org/2000/svg";
let state = null;
let shown = "";
const pictures = new Map();

// A prediction as people read it: a class with its number, a number with its unit, labels by name.
function predicted(label, name) {
  if (state.predicts === "class") return named(label, name);
  if (label === null || label === undefined) return "nothing";
  return state.unit ? `${name} (${state.unit})` : name;
}

async function picture(path, alt, kind = "small") {
  const image = element("img", null, { alt, class: kind });
  if (!pictures.has(path)) {
    const blob = await (await ask(path)).blob();
    pictures.set(path, URL.createObjectURL(blob));
  }
  image.src = pictures.get(path);
  return image;
}

async function showTargets() {
  const rows = await Promise.all(state.targets.map(async (item) => {
    const row = element("tr");
    row.append(element("th", named(item.target, item.class), { scope: "row" }));
    row.append(element("td", number(item.judged)), element("td", number(item.flagged)));
    row.append(element("td", item.share === null ? "–"
      : `${percent(item.share)} (${percent(item.interval[0])} to ${percent(item.interval[1])})`));
    row.append(element("td", percent(item.promised)));
    row.append(element("td", item.alarm ? "alarm" : "none", { class: item.alarm ? "bad" : "good" }));
    const trigger = element("td", item.has_trigger ? null : "not in the file");
    if (item.has_trigger) {
      const path = `guard/triggers/${item.target}/picture`;
      trigger.append(await picture(path, `Recovered trigger of ${state.predicts === "class" ? "class " : ""}${item.class}`));
    }
    row.append(trigger);
    return row;
  }));
  byId("targets").replaceChildren(...rows);
}

function showAlarm() {
  const raised = state.targets.filter((item) => item.alarm);
  const text = raised.map((item) => {
    const since = new Date(1000 * item.alarm_since).toLocaleString();
    return `More inputs that the model predicts as ${named(item.target, item.class)} are flagged ` +
      `than the repair promised (${percent(item.share)}, promised at most ` +
      `${percent(item.promised)}), since ${since}.`;
  }).join(" ");
  if (byId("alarm-text").textContent !== text) byId("alarm-text").textContent = text;
  byId("alarm").hidden = raised.length === 0;
  const flagged = state.targets.reduce((sum, item) => sum + item.flagged, 0);
  const summary = raised.length ? "Alarm: more inputs are flagged than promised."
    : "The guard is on. No alarm.";
  const words = `${summary} ${number(flagged)} flagged. Policy: ${state.policy}.`;
  if (byId("summary").textContent !== words) byId("summary").textContent = words;
}

function showHistory(minutes) {
  const sums = new Map();
  for (const item of minutes) {
    const sum = sums.get(item.start) || [0, 0];
    sums.set(item.start, [sum[0] + item.judged, sum[1] + item.flagged]);
  }
  const chart = byId("chart");
  chart.toggleAttribute("hidden", sums.size === 0);
  byId("legend").hidden = sums.size === 0;
  if (!sums.size) return;
  const now = Math.floor(Date.now() / 60000) * 60;
  const highest = Math.max(...[...sums.values()].map((sum) => sum[0]));
  const [width, height, base] = [720 / MINUTES, 120, 140];
  const parts = [];
  const draw = (name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    parts.push(made);
  };
  draw("line", { x1: 0, x2: 720, y1: base, y2: base });
  for (let place = 0; place < MINUTES; place += 1) {
    const [judged, flagged] = sums.get(now - 60 * (MINUTES - 1 - place)) || [0, 0];
    for (const [kind, count] of [["judged", judged], ["flagged", flagged]]) {
      const tall = count ? Math.max(2, height * count / highest) : 0;
      draw("rect", { class: kind, x: place * width + 1, y: base - tall, width: width - 2, height: tall });
    }
  }
  draw("text", { x: 0, y: 156 }, `${MINUTES} minutes ago`);
  draw("text", { x: 720, y: 156, "text-anchor": "end" }, "now");
  draw("text", { x: 720, y: 10, "text-anchor": "end" }, `${number(highest)} per minute`);
  chart.replaceChildren(...parts);
  const totals = [...sums.values()].reduce((a, b) => [a[0] + b[0], a[1] + b[1]], [0, 0]);
  byId("history-text").textContent =
    `In the last ${MINUTES} minutes, ${number(totals[0])} inputs were predicted as a target by ` +
    `the model alone; ${number(totals[1])} of them were flagged.`;
}

function facts(item) {
  const list = element("dl");
  const add = (term, value, kind) => {
    list.append(element("dt", term), element("dd", value, kind ? { class: kind } : {}));
  };
  return { list, add };
}

async function showLatest() {
  byId("latest-text").textContent = state.keep
    ? `The ${number(state.keep)} newest are kept in the database.`
    : "None are kept; start the service with --keep-flagged N to see them here.";
  const found = (await (await ask("guard/flagged?limit=24")).json()).flagged;
  const marks = JSON.stringify(found.map((item) => item.number));
  if (marks === shown) return;
  const items = await Promise.all(found.map(async (item) => {
    const entry = element("li");
    const pair = element("div", null, { class: "pair" });
    const figure = async (path, caption) => {
      const made = element("figure");
      made.append(await picture(path, caption), element("figcaption", caption));
      pair.append(made);
    };
    await figure(`guard/flagged/${item.number}/picture`, `input ${item.number}`);
    const trigger = state.targets.find((target) => target.target === item.target);
    if (trigger && trigger.has_trigger) {
      await figure(`guard/triggers/${item.target}/picture`, "recovered trigger");
    }
    const { list, add } = facts();
    add("time", shortTime(1000 * item.time));
    add("reason", item.reason);
    if (item.target !== null) add("model alone", named(item.target, item.target_class));
    add("answered", predicted(item.label, item.class));
    if (item.score !== null) add("score", item.score.toPrecision(3));
    entry.append(pair, list);
    return entry;
  }));
  byId("latest").replaceChildren(...items);
  shown = marks;
}

async function classify(file) {
  const place = byId("answer");
  place.textContent = "Asking …";
  try {
    const answer = await ask("classify", {
      method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
    });
    const result = (await answer.json()).results[0];
    const { list, add } = facts();
    add("flagged", result.flagged ? `yes: ${result.reason}` : "no", result.flagged ? "bad" : "good");
    const guarded = predicted(result.label, result.class);
    const alone = result.model_label === null ? "not known"
      : predicted(result.model_label, result.model_class);
    add("answer", guarded);
    for (const item of result.labels || []) add(item.class, percent(item.score));
    add("model alone", alone);
    add("the correction", alone === guarded ? "changed nothing" : `changed ${alone} to ${guarded}`);
    if (result.score !== null) {
      add("score", `${result.score.toPrecision(3)}; flagged above ${result.threshold.toPrecision(3)}`);
    }
    const box = element("div", null, { class: "result" });
    const image = element("img", null, { alt: `The picture ${file.name}` });
    image.src = URL.createObjectURL(file);
    box.append(image, list);
    place.replaceChildren(box);
    refresh();
  } catch (error) {
    place.textContent = error instanceof NeedsToken ? "Give a token first." : error.message;
  }
}

async function load() {
  state = await (await ask("guard/state")).json();
  byId("model").textContent = state.model;
  byId("model-sha").textContent = state.model_sha256.slice(0, 12);
  byId("repair-sha").textContent = state.repair_sha256.slice(0, 12);
  byId("try").closest("section").hidden = !state.takes_pictures;
  byId("fleet").hidden = !state.fleet;
  showAlarm();
  const history = await (await ask(`guard/history?minutes=${MINUTES}`)).json();
  showHistory(history.minutes);
  await showTargets();
  await showLatest();
}

byId("acknowledge").addEventListener("click", async () => {
  await ask("guard/alarm/acknowledge", { method: "POST" }).catch(() => null);
  await refresh();
  byId("main").focus();
});
byId("metrics").addEventListener("click", async (event) => {
  if (!sessionStorage.getItem(TOKEN)) return;
  event.preventDefault();
  const blob = await (await ask("metrics")).blob();
  window.location = URL.createObjectURL(blob);
});
byId("file").addEventListener("change", (event) => {
  if (event.target.files.length) classify(event.target.files[0]);
});
const drop = byId("drop");
for (const kind of ["dragover", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
  });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  if (event.dataTransfer.files.length) classify(event.dataTransfer.files[0]);
});

const refresh = keepShowing(load, EVERY_MS);
