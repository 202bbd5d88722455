// The page: photos, their jobs, and the controls.

import * as api from "./api.js";
import { MAX_STRENGTH } from "./blend.js";
import { newMask, paint } from "./brush.js";
import { Layer, mostChanged } from "./layers.js";
import { resultName } from "./names.js";
import { drawScale, topRadius } from "./overlays.js";
import { readGrey, writeGrey } from "./png.js";
import * as session from "./session.js";
import { Viewer } from "./viewer.js";

const RADIUS_UNIT = 1 / 256;
const LARGEST_LIMIT = 40;

const $ = (id) => document.getElementById(id);

const photos = [];
let shown = null;

const viewer = new Viewer($("view"), $("divider"), {
  moved: (scale) => ($("scale").textContent = `${scale < 0.1 ? (100 * scale).toFixed(1) : Math.round(100 * scale)} %`),
  hovered: readOut,
  picked: pickLimit,
  painted,
});

// Photos

function newPhoto(fields) {
  const photo = {
    name: "", file: null, job: null, model: $("model").value, status: { state: "sending" }, error: null, abort: null, waiting: null, rendering: null,
    before: null, after: null, preview: null, radius: null, confidence: null, mask: null, width: 0, height: 0,
    strength: 1, limit: null, limited: false, topRadius: 0, opened: false, ...fields,
  };
  photo.item = document.createElement("li");
  photo.item.innerHTML = "<button type=button><canvas width=40 height=40 aria-hidden=true></canvas><span><b></b><small></small></span></button>";
  photo.item.querySelector("b").textContent = photo.name;
  photo.item.firstChild.addEventListener("click", () => show(photo));
  $("photos").append(photo.item);
  photos.push(photo);
  return photo;
}

async function addFiles(files) {
  notify("");
  const added = [...files].map((file) => newPhoto({ name: file.name || "photo", file }));
  if (added.length) show(added[0]);
  for (const photo of added) {
    if (photos.includes(photo)) await start(photo);
  }
}

/** Send a photo, and follow its job without waiting for its end. */
async function start(photo) {
  photo.abort = new AbortController();
  showLocally(photo);
  try {
    const sent = (fraction) => update(photo, { state: "sending", fraction });
    photo.job = ticket(await api.postJob(photo.file, { model: photo.model }, sent, photo.abort.signal));
    session.save(photos, shown);
    watch(photo);
  } catch (error) {
    fail(photo, error);
  }
}

const ticket = ({ id, secret }) => ({ id, secret });

/** Show a photo from its file while it is sent, if the browser can decode it. */
async function showLocally(photo) {
  const layer = await Layer.decode(photo.file).catch(() => null);
  if (!layer || photo.before) return;
  setBefore(photo, layer);
  refresh(photo);
}

function setBefore(photo, layer) {
  photo.before?.close();
  photo.before = layer;
  photo.width = layer.bitmap.width;
  photo.height = layer.bitmap.height;
  const source = layer.reduced ?? layer.bitmap;
  const side = Math.min(source.width, source.height);
  const thumb = photo.item.querySelector("canvas").getContext("2d");
  thumb.drawImage(source, (source.width - side) / 2, (source.height - side) / 2, side, side, 0, 0, 40, 40);
}

/** Follow the job of a photo to its end, and show what it gives. */
async function watch(photo) {
  photo.abort = new AbortController();
  try {
    const report = (now) => now.state !== "done" && update(photo, now);
    const status = await api.follow(photo.job, report, photo.abort.signal);
    if (status.state === "done") await showResult(photo, status);
    else if (status.state === "failed") throw new api.ApiError(0, status.problem ?? {});
  } catch (error) {
    fail(photo, error);
  }
}

function update(photo, status) {
  const changed = photo.status.state !== status.state;
  photo.status = status;
  if (status.available?.includes("preview") && !photo.preview && !photo.after) showPreview(photo);
  if (changed && photo === shown) announce(`${photo.name}: ${STATES[status.state]}`);
  refreshState(photo);
}

const STATES = {
  sending: "being sent", receiving: "being sent", queued: "waiting", running: "being restored", loading: "being loaded",
  done: "restored", failed: "failed", cancelled: "cancelled",
};

async function getLayer(photo, name) {
  return Layer.decode(await (await api.getFile(photo.job, name)).blob());
}

async function showPreview(photo) {
  photo.preview = "loading";
  try {
    photo.preview = await getLayer(photo, "preview");
  } catch {
    photo.preview = null; // it comes again with the next report, or the result does
    return;
  }
  refresh(photo);
}

async function showResult(photo, status) {
  update(photo, { ...status, state: "loading" });
  const [before, after] = await Promise.all([getLayer(photo, "before"), getLayer(photo, "display")]);
  if (status.available.includes("blur-map")) await loadMaps(photo);
  setBefore(photo, before);
  photo.after = after;
  update(photo, status);
  refresh(photo);
  openAtChange(photo);
}

/** Fetch the maps of blur radius and confidence. */
async function loadMaps(photo) {
  const read = async (name) => readGrey(await (await api.getFile(photo.job, name)).arrayBuffer());
  [photo.radius, photo.confidence] = await Promise.all([read("blur-map?form=raw"), read("confidence")]);
  photo.topRadius = topRadius(photo.radius.samples, RADIUS_UNIT);
  photo.limit ??= Math.round(5 * photo.topRadius) / 10;
}

/** Once for each photo: show the part that changed most at 1:1, if the whole photo does not fit at 1:1. */
async function openAtChange(photo) {
  if (photo.opened || photo !== shown || !photo.after) return;
  if (viewer.fitScale >= 1) {
    photo.opened = true;
    viewer.showAt({ x: photo.width / 2, y: photo.height / 2 });
    return;
  }
  const { width, height } = $("view");
  const { before, after } = photo;
  const wanted = () => photo === shown && photo.after === after && photos.includes(photo);
  const place = await mostChanged(before, after, photo, width, height, wanted);
  if (place === null) return;
  photo.opened = true;
  viewer.showAt(place);
}

function fail(photo, error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof api.ApiError)) console.error(error);
  if (error.status === 401) askToken(photo);
  photo.error = error.status === 404 ? "This result is no longer on the server; add the photo again." : error.message;
  update(photo, { state: "failed" });
}

/** Cancel a job, or delete the files of one that has ended. */
function discard(job) {
  api.deleteJob(job).catch((error) => error.status !== 404 && notify(error.message));
}

/** Remove a photo from the page, and from the server. */
function remove(photo) {
  photo.abort?.abort();
  for (const job of [photo.job, photo.rendering]) if (job) discard(job);
  for (const layer of [photo.before, photo.after, photo.preview]) if (layer instanceof Layer) layer.close();
  photo.item.remove();
  const at = photos.indexOf(photo);
  photos.splice(at, 1);
  if (photo === shown) show(photos[Math.min(at, photos.length - 1)] ?? null);
  else session.save(photos, shown);
}

// What is shown

function show(photo) {
  shown = photo;
  session.save(photos, shown);
  document.body.classList.toggle("working", photos.length > 0);
  $("work").hidden = photo === null;
  for (const { item } of photos) item.firstChild.setAttribute("aria-current", item === photo?.item);
  if (!photo) return viewer.show(null, true);
  viewer.setLook({ overlay: "none" });
  document.querySelector("[name=overlay][value=none]").checked = true;
  setTool("move");
  photo.shownSize = null;
  refresh(photo);
  openAtChange(photo);
  return undefined;
}

/** Show what has changed about a photo, if it is the one that is shown. */
function refresh(photo) {
  refreshState(photo);
  if (photo !== shown) return;
  const after = photo.after ?? (photo.preview instanceof Layer ? photo.preview : null);
  const { width, height, before, radius, confidence, mask } = photo;
  const scene = { width, height, before, after, radius, confidence, mask, unit: RADIUS_UNIT, topRadius: photo.topRadius };
  const size = `${width}×${height}`;
  viewer.resize();
  if (before) viewer.show(scene, photo.shownSize === size);
  else viewer.show(null, true);
  photo.shownSize = before ? size : null;
  for (const id of ["divider", "tag-before", "tag-after"]) $(id).hidden = !after;
  $("tag-after").textContent = photo.after ? "after" : "after (preview)";
  refreshControls(photo);
}

function refreshState(photo) {
  const { state } = photo.status;
  photo.item.querySelector("small").textContent = STATES[state];
  if (photo !== shown) return;
  const running = !api.ended(photo.status) || photo.waiting !== null;
  const failed = state === "failed" && photo.error;
  $("running").hidden = !running;
  $("failure").hidden = !failed;
  $("failure").textContent = failed ? photo.error : "";
  $("controls").hidden = !photo.after;
  const bare = Boolean(failed && !photo.before);
  $("work").classList.toggle("bare", bare);
  for (const id of ["stage", "zoom-bar"]) $(id).hidden = bare;
  $("waiting").hidden = Boolean(photo.before);
  $("waiting").textContent = failed ? "" : "The photo appears here when it is restored.";
  $("cancel").hidden = state === "loading";
  setProgress(photo.waiting ?? photo.status);
}

function setProgress({ state, tiles_done: done, tiles_total: total, seconds_left: left, fraction }) {
  const bar = $("progress");
  let text = { sending: "Sending", receiving: "Sending", queued: "Waiting for its turn", running: "Restoring", loading: "Loading the result" }[state] ?? "Finishing";
  if (state === "sending" && fraction !== undefined) bar.value = fraction;
  else if (state === "running" && total > 0) {
    bar.value = done / total;
    text += `: ${done} of ${total} tiles`;
    if (left !== null && left !== undefined) text += `, about ${duration(left)} left`;
  } else bar.removeAttribute("value");
  $("state").textContent = text;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function refreshControls(photo) {
  const maps = photo.radius !== null;
  $("limits").hidden = !maps;
  $("tool-pick").hidden = !maps;
  for (const element of document.querySelectorAll(".needs-maps")) element.hidden = !maps;
  $("overlay-mask").hidden = photo.mask === null;
  $("strength").value = photo.strength;
  $("strength-text").textContent = photo.strength.toFixed(2);
  $("limited").checked = photo.limited;
  if (maps) {
    $("limit").max = Math.min(LARGEST_LIMIT, Math.ceil(photo.topRadius));
    $("limit").value = photo.limit;
    $("limit-text").textContent = `${photo.limit.toFixed(1)} px`;
  }
  $("model").value = photo.model;
  viewer.setLook({ strength: photo.strength, maxBlur: photo.limited ? photo.limit : null });
}

function settingsChanged(change) {
  Object.assign(shown, change);
  refreshControls(shown);
  session.save(photos, shown);
}

function pickLimit({ x, y }) {
  const radius = radiusAt(shown.radius, x, y);
  if (radius === null) return;
  settingsChanged({ limit: Math.round(10 * radius) / 10, limited: true });
  announce(`Limit: ${shown.limit.toFixed(1)} pixels`);
}

function radiusAt(map, x, y) {
  if (!map || x < 0 || y < 0 || x >= shown.width || y >= shown.height) return null;
  const column = Math.floor((x * map.width) / shown.width);
  return map.samples[Math.floor((y * map.height) / shown.height) * map.width + column] * RADIUS_UNIT;
}

function readOut({ x, y }) {
  const radius = radiusAt(shown?.radius, x, y);
  $("readout").textContent = radius === null ? "" : `blur here: ${radius.toFixed(1)} px`;
}

function setTool(tool) {
  viewer.tool = tool;
  document.querySelector(`[name=tool][value=${tool}]`).checked = true;
  $("brush").hidden = tool !== "restore" && tool !== "keep";
  $("view").classList.toggle("aim", tool !== "move");
}

/** A stroke. The first one decides what the rest of the photo is: kept around "restore", restored around "keep". */
function painted(from, to, restore) {
  if (!shown.after) return;
  const isNew = shown.mask === null;
  shown.mask ??= newMask(shown.width, shown.height, restore ? 0 : 255);
  const side = (Number($("brush-size").value) * (window.devicePixelRatio || 1)) / viewer.scale; // it is given on the screen
  paint(shown.mask, from, to, side / 2, restore);
  if (isNew) refresh(shown);
  else viewer.refreshMaps();
}

function clearBrush() {
  shown.mask = null;
  if (viewer.look.overlay === "mask") chooseOverlay("none");
  refresh(shown);
}

const LEGENDS = {
  radius: () => ["0 px: in focus", `${shown.topRadius.toFixed(1)} px`, "Radius of the blur at each place, in pixels of the photo. Point at a place to read its value."],
  confidence: () => ["uncertain", "certain", "How far the blur map can be trusted. Smooth surfaces show little of their blur."],
  mask: () => ["kept", "restored", "What the brush selects."],
};

function chooseOverlay(overlay) {
  document.querySelector(`[name=overlay][value=${overlay}]`).checked = true;
  viewer.setLook({ overlay });
  $("legend").hidden = overlay === "none";
  if (overlay !== "none") [$("legend-low").textContent, $("legend-high").textContent, $("legend-text").textContent] = LEGENDS[overlay]();
}

// Download

/** Save the result as it is shown. Another strength, limit, mask or format is rendered by the server from the source. */
async function download(photo) {
  const format = $("format").value;
  const maxBlur = photo.limited ? photo.limit : null;
  const asItIs = photo.strength === 1 && maxBlur === null && photo.mask === null && format === "";
  $("download").disabled = true;
  notify("");
  let job = photo.job;
  try {
    if (!asItIs) job = await renderAgain(photo, { format, strength: photo.strength, max_blur: maxBlur });
    const response = await api.getFile(job, "result");
    saveFile(await response.blob(), resultName(photo.name, response.headers.get("Content-Type") ?? ""));
    if (!asItIs) discard(job);
  } catch (error) {
    if (error.name !== "AbortError") notify(error.message);
  } finally {
    $("download").disabled = false;
    photo.waiting = null;
    refreshState(photo);
  }
}

async function renderAgain(photo, fields) {
  const { mask } = photo;
  const file = mask && (await writeGrey(mask.width, mask.height, mask.samples));
  const job = ticket(await api.postAgain(photo.job, { model: photo.model, mask: file, ...fields }));
  photo.abort = new AbortController();
  photo.rendering = job;
  const report = (status) => {
    photo.waiting = status;
    refreshState(photo);
  };
  const status = await api.follow(job, report, photo.abort.signal).finally(() => (photo.rendering = null));
  if (status.state === "cancelled") throw new DOMException("cancelled", "AbortError");
  if (status.state === "failed") throw new api.ApiError(0, status.problem ?? {});
  return job;
}

function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function cancel(photo) {
  try {
    if (photo.rendering) await api.deleteJob(photo.rendering);
    else if (photo.job) await api.deleteJob(photo.job);
    else {
      photo.abort.abort();
      update(photo, { state: "cancelled" });
    }
  } catch (error) {
    notify(error.message);
  }
}

// Messages, models, start

function notify(text) {
  $("notice").textContent = text;
  $("notice").hidden = text === "";
}

function announce(text) {
  $("announcement").textContent = text;
}

let refused = [];

function askToken(photo) {
  refused.push(photo);
  $("access").hidden = false;
  $("token").focus();
}

function tokenGiven(event) {
  event.preventDefault();
  api.setToken($("token").value);
  $("access").hidden = true;
  const again = refused;
  refused = [];
  loadModels();
  for (const photo of again) {
    photo.error = null;
    if (photo.job) watch(photo);
    else start(photo);
  }
}

async function loadModels() {
  const { models } = await api.getModels().catch(() => ({ models: [] }));
  const preset = models.find((model) => model.default)?.name ?? "";
  $("model-line").hidden = models.length < 2;
  $("model").replaceChildren(...models.map((model) => new Option(model.name, model.name)));
  $("model").value = shown?.model || preset;
  for (const photo of photos) photo.model ||= preset;
}

/** Restore the photo that is shown with another model. */
async function changeModel() {
  const photo = shown;
  if (!photo?.job || photo.model === $("model").value) return;
  const model = $("model").value;
  try {
    const job = ticket(await api.postAgain(photo.job, { model }));
    photo.abort?.abort();
    discard(photo.job);
    Object.assign(photo, { job, model, after: null, preview: null, radius: null, confidence: null, error: null });
    session.save(photos, shown);
    refresh(photo);
    watch(photo);
  } catch (error) {
    notify(error.message);
    $("model").value = photo.model;
  }
}

async function addSample(name) {
  const blob = await (await fetch(`static/samples/${name}`)).blob();
  addFiles([new File([blob], name, { type: blob.type })]);
}

function listen() {
  $("pick").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    addFiles($("file").files);
    $("file").value = "";
  });
  for (const button of document.querySelectorAll("[data-sample]")) {
    button.addEventListener("click", () => addSample(button.dataset.sample));
  }
  addEventListener("paste", (event) => event.clipboardData.files.length && addFiles(event.clipboardData.files));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && $("drop").classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    if (event.dataTransfer.files.length) addFiles(event.dataTransfer.files);
  });
  $("access").addEventListener("submit", tokenGiven);
  $("zoom-in").addEventListener("click", () => viewer.zoom(1.5));
  $("zoom-out").addEventListener("click", () => viewer.zoom(1 / 1.5));
  $("zoom-fit").addEventListener("click", () => viewer.fit());
  $("zoom-one").addEventListener("click", () => viewer.showAt({ ...viewer.centre }));
  $("view").addEventListener("pointerleave", () => ($("readout").textContent = ""));
  $("cancel").addEventListener("click", () => cancel(shown));
  $("remove").addEventListener("click", () => remove(shown));
  $("strength").max = MAX_STRENGTH;
  $("strength").addEventListener("input", () => settingsChanged({ strength: Number($("strength").value) }));
  $("limited").addEventListener("change", () => settingsChanged({ limited: $("limited").checked }));
  $("limit").addEventListener("input", () => settingsChanged({ limit: Number($("limit").value), limited: true }));
  for (const radio of document.querySelectorAll("[name=tool]")) radio.addEventListener("change", () => setTool(radio.value));
  for (const radio of document.querySelectorAll("[name=overlay]")) radio.addEventListener("change", () => chooseOverlay(radio.value));
  $("brush-size").addEventListener("input", () => ($("brush-text").textContent = `${$("brush-size").value} px`));
  $("brush-text").textContent = `${$("brush-size").value} px`;
  $("brush-clear").addEventListener("click", clearBrush);
  $("download").addEventListener("click", () => download(shown));
  $("model").addEventListener("change", changeModel);
}

/** Take up the photos of this tab from before a reload. */
function resume() {
  const kept = session.load();
  const resumed = kept.photos.map((fields) => newPhoto({ ...fields, status: { state: "queued" } }));
  if (resumed.length) show(resumed[kept.shown] ?? resumed[0]);
  resumed.forEach(watch);
}

listen();
drawScale($("scale-colours"));
viewer.setSplit(0.5);
loadModels();
resume();
