// The photo on a canvas: before and after beside a divider, zoom, pan, and what a pointer does.

import { blend, weights } from "./blend.js";
import { sampleMap } from "./layers.js";
import { tint } from "./overlays.js";

const MAX_SCALE = 32;
const ZOOM_STEP = 1.25;
const PAN_STEP = 0.1;
const CLICK_DISTANCE = 5;
const OVERLAY_OPACITY = 0.65;
/** Of a device's pixel per pixel of the photo, from which on pixels are drawn as squares. */
const SQUARES_FROM = 3;

/**
 * Scene: { width, height, before, after, radius, confidence, mask, unit } of one photo; layers and maps may be null.
 * Positions are in pixels of the photo, scales in device pixels per pixel of the photo.
 */
export class Viewer {
  constructor(canvas, divider, events) {
    this.canvas = canvas;
    this.divider = divider;
    this.events = events;
    this.scene = null;
    this.look = { strength: 1, minBlur: null, maxBlur: null, overlay: "none" };
    this.tool = "move";
    this.split = 0.5;
    this.centre = { x: 0, y: 0 };
    this.scale = 1;
    this.pointers = new Map();
    this.samples = null;
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.listen();
  }

  // What is shown

  /** Show a photo; the view is kept if it is the photo that is already shown. */
  show(scene, keepView) {
    this.scene = scene;
    this.samples = null;
    if (!keepView) this.fit();
    this.draw();
  }

  setLook(look) {
    Object.assign(this.look, look);
    this.draw();
  }

  /** The mask or a map has changed. */
  refreshMaps() {
    if (this.samples) this.samples.weightKey = null;
    if (this.samples) this.samples.maps = {};
    this.draw();
  }

  setSplit(split) {
    this.split = Math.min(1, Math.max(0, split));
    this.divider.style.left = `${100 * this.split}%`;
    const percent = Math.round(100 * this.split);
    this.divider.setAttribute("aria-valuenow", percent);
    this.divider.setAttribute("aria-valuetext", `before on the left ${percent} per cent of the view`);
    this.draw();
  }

  // Where it is shown

  get fitScale() {
    return Math.min(this.canvas.width / this.scene.width, this.canvas.height / this.scene.height);
  }

  fit() {
    if (!this.scene) return;
    this.scale = Math.min(this.fitScale, MAX_SCALE);
    this.centre = { x: this.scene.width / 2, y: this.scene.height / 2 };
    this.moved();
  }

  /** Show this place at one device pixel per pixel of the photo. */
  showAt({ x, y }) {
    this.scale = 1;
    this.centre = { x, y };
    this.moved();
  }

  /** Zoom, with the place under { x, y } in device pixels, by default the centre, kept. */
  zoom(factor, at = { x: this.canvas.width / 2, y: this.canvas.height / 2 }) {
    if (!this.scene) return;
    const place = this.toPhoto(at);
    const least = Math.min(this.fitScale, 1);
    let scale = Math.min(MAX_SCALE, Math.max(least, this.scale * factor));
    if ((this.scale < 1 && scale > 1) || (this.scale > 1 && scale < 1)) scale = 1; // stop at 1:1 on the way
    this.scale = scale;
    this.centre.x = place.x - (at.x - this.canvas.width / 2) / scale;
    this.centre.y = place.y - (at.y - this.canvas.height / 2) / scale;
    this.moved();
  }

  pan(dx, dy) {
    this.centre.x -= dx / this.scale;
    this.centre.y -= dy / this.scale;
    this.moved();
  }

  moved() {
    for (const [axis, side, length] of [["x", this.scene.width, this.canvas.width], ["y", this.scene.height, this.canvas.height]]) {
      const half = length / 2 / this.scale;
      this.centre[axis] = 2 * half >= side ? side / 2 : Math.min(side - half, Math.max(half, this.centre[axis]));
    }
    this.events.moved(this.scale);
    this.draw();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (width === this.canvas.width && height === this.canvas.height) return;
    const fitted = this.scene && this.scale === this.fitScale;
    this.canvas.width = width;
    this.canvas.height = height;
    if (!this.scene) return;
    if (fitted) this.fit();
    else this.moved();
  }

  /** The upper left corner of the photo in device pixels; whole ones at 1:1, so that samples stay as they are. */
  get origin() {
    const x = this.canvas.width / 2 - this.centre.x * this.scale;
    const y = this.canvas.height / 2 - this.centre.y * this.scale;
    return this.scale >= 1 ? { x: Math.round(x), y: Math.round(y) } : { x, y };
  }

  toPhoto({ x, y }) {
    const origin = this.origin;
    return { x: (x - origin.x) / this.scale, y: (y - origin.y) / this.scale };
  }

  // Drawing

  draw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = null;
      this.drawNow();
    });
  }

  drawNow() {
    const { canvas, scene } = this;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!scene?.before) return;
    const samples = this.sampled();
    if (!samples) return;
    const { part } = samples;
    const origin = this.origin;
    const place = [origin.x + part.x * this.scale, origin.y + part.y * this.scale, part.width * this.scale, part.height * this.scale];
    context.imageSmoothingEnabled = this.scale < SQUARES_FROM;
    const line = scene.after ? Math.round(this.split * canvas.width) : canvas.width;
    const { overlay } = this.look;
    this.drawSide(context, samples, overlay === "none" ? samples.before : this.overlaid(samples.before), place, 0, line);
    if (scene.after) {
      const after = this.restored();
      this.drawSide(context, samples, overlay === "none" ? after : this.overlaid(after), place, line, canvas.width);
    }
  }

  drawSide(context, { columns, rows }, pixels, place, left, right) {
    if (right <= left) return;
    const source = document.createElement("canvas");
    source.width = columns;
    source.height = rows;
    source.getContext("2d").putImageData(new ImageData(pixels, columns, rows), 0, 0);
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, this.canvas.height);
    context.clip();
    context.drawImage(source, ...place);
    context.restore();
  }

  /** The pixels of the visible part, kept until the view changes. */
  sampled() {
    const { scene, canvas, scale } = this;
    const first = this.toPhoto({ x: 0, y: 0 });
    const last = this.toPhoto({ x: canvas.width, y: canvas.height });
    const x = Math.max(0, Math.floor(first.x));
    const y = Math.max(0, Math.floor(first.y));
    const part = { x, y, width: Math.min(scene.width, Math.ceil(last.x)) - x, height: Math.min(scene.height, Math.ceil(last.y)) - y };
    if (part.width < 1 || part.height < 1) return null;
    const columns = scale >= 1 ? part.width : Math.max(1, Math.round(part.width * scale));
    const rows = scale >= 1 ? part.height : Math.max(1, Math.round(part.height * scale));
    const key = [part.x, part.y, part.width, part.height, columns, rows].join();
    if (this.samples?.key === key) return this.samples;
    const before = scene.before.sample(scene, part, columns, rows);
    const after = scene.after?.sample(scene, part, columns, rows) ?? null;
    this.samples = { key, part, columns, rows, before, after, maps: {}, weightKey: null };
    return this.samples;
  }

  map(name) {
    const { part, columns, rows, maps } = this.samples;
    const map = this.scene[name];
    if (!map) return null;
    return (maps[name] ??= sampleMap(map, this.scene, part, columns, rows, name === "radius" ? this.scene.unit : 1));
  }

  /** The pixels of the visible part as restored with the present settings. */
  restored() {
    const { samples, look } = this;
    const key = [look.minBlur, look.maxBlur].join();
    if (samples.weightKey !== key) {
      samples.weight = weights(this.map("radius"), this.map("mask"), look.minBlur, look.maxBlur);
      samples.weightKey = key;
    }
    samples.out ??= new Uint8ClampedArray(samples.before.length);
    return blend(samples.before, samples.after, samples.weight, look.strength, samples.out);
  }

  /** A copy of pixels with the chosen map over them. */
  overlaid(pixels) {
    const name = this.look.overlay;
    const values = this.map(name);
    if (!values) return pixels;
    const copy = pixels.slice();
    const top = { radius: this.scene.topRadius, confidence: 255, mask: 255 }[name];
    tint(copy, values, top, OVERLAY_OPACITY);
    return copy;
  }

  // Pointers and keys

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / box.width;
    return { x: (event.clientX - box.left) * ratio, y: (event.clientY - box.top) * ratio };
  }

  listen() {
    const { canvas, divider, pointers } = this;
    canvas.addEventListener("wheel", (event) => {
      if (!this.scene) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / (event.ctrlKey ? 100 : 400)), this.at(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.scene || event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, { start: this.at(event), last: this.at(event), moved: false });
      if (pointers.size > 1) this.stroke = null;
      else if (this.tool === "restore" || this.tool === "keep") this.paintTo(this.at(event));
    });
    canvas.addEventListener("pointermove", (event) => this.pointerMoved(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => {
        const pointer = pointers.get(event.pointerId);
        pointers.delete(event.pointerId);
        this.stroke = null;
        const clicked = pointer && !pointer.moved && name === "pointerup";
        if (clicked && this.tool === "pick") this.events.picked(this.toPhoto(pointer.start));
      });
    }
    canvas.addEventListener("dblclick", (event) => {
      if (!this.scene || this.tool !== "move") return;
      if (this.scale === 1) this.fit();
      else this.showAt(this.toPhoto(this.at(event)));
    });
    canvas.addEventListener("keydown", (event) => this.keyPressed(event));
    divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
    divider.addEventListener("pointermove", (event) => {
      if (divider.hasPointerCapture(event.pointerId)) this.setSplit(this.at(event).x / canvas.width);
    });
    divider.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      this.setSplit(this.split + step);
    });
  }

  pointerMoved(event) {
    const position = this.at(event);
    if (this.scene) this.events.hovered(this.toPhoto(position));
    const pointer = this.pointers.get(event.pointerId);
    if (!pointer) return;
    const { last } = pointer;
    pointer.last = position;
    const distance = Math.hypot(position.x - pointer.start.x, position.y - pointer.start.y);
    if (distance > CLICK_DISTANCE * (window.devicePixelRatio || 1)) pointer.moved = true;
    if (this.pointers.size === 2) this.pinch(pointer, last);
    else if (this.tool === "restore" || this.tool === "keep") this.paintTo(position);
    else if (pointer.moved) this.pan(position.x - last.x, position.y - last.y);
  }

  /** One of two pointers moved from `last`: keep what is under both under them. */
  pinch(pointer, last) {
    const other = [...this.pointers.values()].find((candidate) => candidate !== pointer).last;
    const apart = (a) => Math.max(1, Math.hypot(a.x - other.x, a.y - other.y));
    const middle = { x: (pointer.last.x + other.x) / 2, y: (pointer.last.y + other.y) / 2 };
    this.pan((pointer.last.x - last.x) / 2, (pointer.last.y - last.y) / 2);
    this.zoom(apart(pointer.last) / apart(last), middle);
  }

  paintTo(position) {
    const place = this.toPhoto(position);
    this.events.painted(this.stroke ?? place, place, this.tool === "restore");
    this.stroke = place;
  }

  keyPressed(event) {
    if (!this.scene || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = PAN_STEP * Math.min(this.canvas.width, this.canvas.height);
    const actions = {
      ArrowLeft: () => this.pan(step, 0),
      ArrowRight: () => this.pan(-step, 0),
      ArrowUp: () => this.pan(0, step),
      ArrowDown: () => this.pan(0, -step),
      "+": () => this.zoom(ZOOM_STEP),
      "=": () => this.zoom(ZOOM_STEP),
      "-": () => this.zoom(1 / ZOOM_STEP),
      0: () => this.fit(),
      1: () => this.showAt({ ...this.centre }),
      Enter: () => this.tool === "pick" && this.events.picked({ ...this.centre }),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
