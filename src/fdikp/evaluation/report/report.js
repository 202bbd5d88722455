"use strict";

const scenes = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
}

/* Sliders: a range input over the images, which works with mouse, touch, keyboard and screen readers. */

function show(slider, left, right, extent, what) {
  slider.replaceChildren();
  for (const [side, layer] of [["left", left], ["right", right]]) {
    slider.append(element("img", { className: side, src: layer[extent], alt: `${layer.title}: ${what}`, draggable: false }));
  }
  const range = element("input", { type: "range", min: 0, max: 100, step: 1, value: 50 });
  range.setAttribute("aria-label", `${left.title} or ${right.title} of ${what}`);
  const move = () => {
    slider.style.setProperty("--at", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} % ${left.title}`);
  };
  range.addEventListener("input", move);
  move();
  slider.append(range, element("span", { className: "handle" }));
  slider.append(element("span", { className: "name left", textContent: left.title }));
  slider.append(element("span", { className: "name right", textContent: right.title }));
}

const layerOf = (scene, model) => scene.layers.findIndex((layer) => layer.kind === "model" && layer.title === model);

for (const slider of document.querySelectorAll(".card .slider")) {
  const scene = scenes[slider.dataset.scene];
  const place = layerOf(scene, slider.dataset.model);
  show(slider, scene.layers[0], scene.layers[Math.max(place, 1)], "whole", scene.image);
}

/* Look closer: any two layers of one scene, side by side. */

const state = { scene: 0, extent: "whole" };

function fill(select, names, chosen) {
  select.replaceChildren(...names.map((name, n) => element("option", { value: n, textContent: name })));
  select.value = chosen;
}

function open(number, model) {
  const scene = scenes[number];
  state.scene = number;
  byId("scene").value = number;
  const titles = scene.layers.map((layer) => layer.title);
  fill(byId("left"), titles, 0);
  const place = layerOf(scene, model);
  fill(byId("right"), titles, place < 0 ? scene.layers.findIndex((layer) => layer.kind === "model") : place);
  const detailed = scene.layers.every((layer) => layer.detail);
  byId("extent").hidden = !detailed;
  if (!detailed) state.extent = "whole";
  compare();
}

function compare() {
  const scene = scenes[state.scene];
  const [left, right] = ["left", "right"].map((side) => scene.layers[byId(side).value]);
  const stage = byId("stage");
  const ratio = state.extent === "whole" ? scene.width / scene.height : 1;
  stage.style.aspectRatio = ratio;
  stage.style.maxWidth = `calc(76vh * ${ratio})`;
  stage.classList.toggle("enlarged", state.extent === "detail");
  for (const radio of document.getElementsByName("extent")) radio.checked = radio.value === state.extent;
  show(stage, left, right, state.extent, scene.image);
  const map = [right, left].find((layer) => layer.kind === "map");
  byId("scale").hidden = !map;
  const models = scene.results.map((result) => result.model);
  const model = models.find((name) => right.title.startsWith(name) && right.kind !== "input") ?? models[0];
  if (map) {
    const whose = models.find((name) => map.title === `${name}: blur map`);
    byId("most").textContent = `${scene.scale[whose].toFixed(1)} pixels`;
  }
  drawScores(scene);
  drawKernels(scene.kernels[model], model);
}

function drawScores(scene) {
  const titles = [...new Set(scene.results.flatMap((result) => result.scores.map((score) => score.title)))];
  const head = element("tr", {}, ...["Method", ...titles].map((title) => element("th", { textContent: title, scope: "col" })));
  const numbers = (result, key) =>
    titles.map((title) => element("td", { textContent: result.scores.find((score) => score.title === title)?.[key] || "–" }));
  const row = (name, cells) => element("tr", {}, element("th", { textContent: name, scope: "row" }), ...cells);
  const rows = scene.results.map((result) => row(result.model, numbers(result, "after")));
  const first = scene.results[0];
  if (first.scores.some((score) => score.before)) {
    rows.unshift(row("input", numbers(first, "before")));
    rows[0].className = "input";
  }
  byId("scores").replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
}

/* From purple over white to brown, on a square-root scale, because a middle tap near 1 would hide the others. */
const STOPS = [[45, 0, 75], [128, 115, 172], [216, 218, 235], [247, 247, 247], [254, 224, 182], [224, 130, 20], [127, 59, 8]];

function colour(value, limit) {
  const place = (Math.sign(value) * Math.sqrt(Math.abs(value) / limit) + 1) * 3;
  const low = Math.min(Math.floor(place), 5);
  const mixed = STOPS[low].map((part, n) => Math.round(part + (STOPS[low + 1][n] - part) * (place - low)));
  return `rgb(${mixed.join(" ")})`;
}

function drawKernels(rows, model) {
  const place = byId("kernels");
  place.replaceChildren();
  if (!rows) return;
  place.append(element("h3", { textContent: "Predicted inverse kernels " }));
  place.firstChild.append(element("small", { textContent: `${model}; brown taps are positive, purple ones negative` }));
  const limit = Math.max(...rows.flatMap((row) => row.kernels.flat(2)).map(Math.abs)) || 1;
  const xml = "http://www.w3.org/2000/svg";
  for (const row of rows) {
    const kernels = element("div");
    for (const [n, kernel] of row.kernels.entries()) {
      const image = document.createElementNS(xml, "svg");
      image.setAttribute("viewBox", `0 0 ${kernel.length} ${kernel.length}`);
      image.setAttribute("role", "img");
      image.setAttribute("aria-label", `kernel ${n + 1}, ${row.title}`);
      kernel.forEach((taps, y) => taps.forEach((tap, x) => {
        const square = document.createElementNS(xml, "rect");
        for (const [name, value] of Object.entries({ x, y, width: 1.02, height: 1.02, fill: colour(tap, limit) })) {
          square.setAttribute(name, value);
        }
        const title = document.createElementNS(xml, "title");
        title.textContent = tap;
        square.append(title);
        image.append(square);
      }));
      kernels.append(image);
    }
    const made = element("div", { className: "kernel-row" }, element("span", { textContent: row.title }), kernels);
    made.style.setProperty("--count", row.kernels.length);
    place.append(made);
  }
}

if (scenes.length) {
  fill(byId("scene"), scenes.map((scene) => `${scene.image} (${scene.data})`), 0);
  byId("scene").addEventListener("change", (event) => open(Number(event.target.value)));
  for (const [id, step] of [["previous", -1], ["next", 1]]) {
    byId(id).addEventListener("click", () => open((state.scene + step + scenes.length) % scenes.length));
  }
  for (const side of ["left", "right"]) byId(side).addEventListener("change", compare);
  for (const radio of document.getElementsByName("extent")) {
    radio.addEventListener("change", () => { state.extent = radio.value; compare(); });
  }
  const first = document.querySelector(".card .slider");
  open(Number(first?.dataset.scene ?? 0), first?.dataset.model);
  for (const opener of document.querySelectorAll("button[data-scene], rect[data-scene]")) {
    opener.addEventListener("click", () => {
      open(Number(opener.dataset.scene), opener.dataset.model);
      location.hash = "look"; // lets the browser's Back button return to this place
      byId("look").scrollIntoView();
      byId("stage").querySelector("input").focus({ preventScroll: true });
    });
  }
}

/* The list: a click on a heading sorts it, the controls above filter it. */

const list = byId("list");
const headings = [...list.tHead.rows[0].cells];
const rows = [...list.tBodies[0].rows];
const texts = rows.map((row) => row.textContent.toLowerCase());
const columnOf = (title) => headings.findIndex((heading) => heading.textContent.trim() === title);
const collator = new Intl.Collator("en", { numeric: true });

function order(column, way) {
  const value = (row) => row.cells[column].dataset.value;
  const numbers = headings[column].classList.contains("number");
  return [...rows].sort((a, b) => {
    if (!numbers) return way * collator.compare(a.cells[column].textContent, b.cells[column].textContent);
    if (value(a) === "" || value(b) === "") return (value(a) === "") - (value(b) === ""); // missing values come last
    return way * (Number(value(a)) - Number(value(b)));
  });
}

for (const [column, heading] of headings.entries()) {
  heading.querySelector("button").addEventListener("click", () => {
    const way = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const each of headings) each.setAttribute("aria-sort", each === heading ? way : "none");
    list.tBodies[0].append(...order(column, way === "ascending" ? 1 : -1));
  });
}

function narrow() {
  const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const filters = [["Set", byId("by-set").value], ["Method", byId("by-model").value]];
  let count = 0;
  for (const [n, row] of rows.entries()) {
    const chosen = filters.every(([title, name]) => !name || row.cells[columnOf(title)].textContent === name);
    const fits = chosen && words.every((word) => texts[n].includes(word));
    row.hidden = !fits || (byId("by-loss").checked && !("loses" in row.dataset));
    count += !row.hidden;
  }
  byId("count").textContent = `${count} of ${rows.length}`;
}

for (const id of ["find", "by-set", "by-model", "by-loss"]) byId(id).addEventListener("input", narrow);
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
narrow();
