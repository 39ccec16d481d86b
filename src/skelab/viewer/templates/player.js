"use strict";
// The player: a clip's bodies in space, to play, step, turn and ask for names.
// mountPlayer(element, clip) makes a player of an element; without a clip, of the one that it holds
// as JSON. Every element with data-skelab-clip is mounted when the page is read.
(() => {
  const SPEEDS = [0.25, 0.5, 1, 2];
  const VIEWS = { Front: [0, 0.06], Side: [Math.PI / 2, 0.06], Top: [0, 1.45] };
  const START = [0.35, 0.12]; // a little from the side and above, so that depth shows
  const REACH = 14; // pixels within which a joint or bone is meant
  const PATHS = {
    play: "M7 4.5v15l13-7.5z",
    pause: "M6 4.5h4.2v15H6zm7.8 0H18v15h-4.2z",
    back: "M16.5 5v14L8 12zM5.5 5h2.6v14H5.5z",
    forward: "M7.5 5v14l8.5-7zm8.4 0h2.6v14h-2.6z",
    minus: "M5 10.8h14v2.4H5z",
    plus: "M10.8 5h2.4v5.8H19v2.4h-5.8V19h-2.4v-5.8H5v-2.4h5.8z",
    theme: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm0 2.2v13.6a6.8 6.8 0 0 1 0-13.6z",
  };
  let count = 0;

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    svg.append(document.createElementNS(svg.namespaceURI, "path"));
    svg.firstChild.setAttribute("d", PATHS[name]);
    return svg;
  }

  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}%`;

  // Steps between frames, seven bits a byte, back to coordinates; NaN where a joint is absent.
  function unpack(pane, frames, joints) {
    return pane.bodies.map(({ runs, data }) => {
      const points = new Float32Array(frames * joints * 3).fill(NaN);
      const bytes = bytesOf(data);
      let at = 0;
      for (const [start, end] of runs) {
        const place = new Int32Array(joints * 3);
        for (let frame = start; frame < end; frame++) {
          for (let k = 0; k < joints * 3; k++) {
            let value = bytes[at] & 127;
            if (bytes[at++] > 127) value |= bytes[at++] << 7;
            place[k] += value & 1 ? -(value + 1) / 2 : value / 2;
            if (place[k]) points[frame * joints * 3 + k] = pane.low[k % 3] + (place[k] - 1) * pane.step;
          }
        }
      }
      return points;
    });
  }

  // Centre and half extents of where the bodies are in nearly all frames, the floor, and how thick
  // a limb is.
  function measure(bodies, bones, frames) {
    const size = bodies[0].length / frames;
    const spans = [0, 1, 2].map((axis) => {
      const [lows, highs] = [[], []];
      for (let frame = 0; frame < frames; frame++) {
        let [low, high] = [Infinity, -Infinity];
        for (const points of bodies) {
          for (let k = frame * size + axis; k < (frame + 1) * size; k += 3) {
            if (points[k] < low) low = points[k];
            if (points[k] > high) high = points[k];
          }
        }
        if (low <= high) [lows, highs].forEach((list, place) => list.push([low, high][place]));
      }
      const at = (list, share) => list.sort((a, b) => a - b)[Math.round(share * (list.length - 1))];
      return [at(lows, 0.02), at(highs, 0.98)];
    });
    const lengths = [];
    for (const points of bodies) {
      for (const [a, b] of bones) {
        for (let at = 0; at < points.length; at += 3 * (bones.length + 1) * 7) {
          const d = Math.hypot(...[0, 1, 2].map((k) => points[at + 3 * a + k] - points[at + 3 * b + k]));
          if (d === d) lengths.push(d);
        }
      }
    }
    lengths.sort((a, b) => a - b);
    const limb = (lengths[Math.floor(0.9 * lengths.length)] || 0.4) * 0.13;
    const centre = spans.map(([low, high]) => (low + high) / 2);
    const half = spans.map(([low, high]) => Math.max((high - low) / 2, limb));
    return { centre, half, limb, floor: spans[1][0] - limb };
  }

  class Player {
    constructor(root, clip) {
      this.root = root;
      this.clip = clip;
      this.number = ++count;
      this.total = clip.frames.length;
      this.frame = 0;
      this.speed = 1;
      this.playing = false;
      this.angles = clip.flat ? [0, 0] : [...START];
      this.zoom = 1;
      this.names = false;
      this.chosen = null; // pane, body, joint that the keys have chosen
      this.method = clip.answer?.evidence.length ? 0 : -1;
      this.layer = -1;
      this.still = matchMedia("(prefers-reduced-motion: reduce)");
      this.night = matchMedia("(prefers-color-scheme: dark)");
      this.host = root.closest("[data-skelab-theme]") ?? root;
      this.host.dataset.skelabTheme ??= "auto";
      this.panes = clip.panes.map((pane) => {
        const bodies = unpack(pane, this.total, clip.joints.length);
        return { ...pane, bodies, ...measure(bodies, clip.bones, this.total), shown: true, hits: [] };
      });
      this.evidence = (clip.answer?.evidence ?? []).map((each) => ({
        ...each,
        joints: each.joints.map(bytesOf),
        frames: bytesOf(each.frames),
      }));
      this.build();
      this.listen();
      this.readColours();
      this.show(0);
      if (root.hasAttribute("data-autoplay") && !this.still.matches && this.total > 1) this.play(true);
    }

    // ---- what is on the page ----
    build() {
      const { clip } = this;
      this.root.classList.add("skv");
      this.root.classList.toggle("skv-wide", Math.max(...this.panes.map((pane) => this.shape(pane))) > 0.75);
      this.root.setAttribute("role", "group");
      this.root.setAttribute("aria-label", `Clip ${clip.name}`);
      const stage = make("div", { class: "skv-stage" });
      stage.append(this.buildPanes(), this.buildTime(), this.buildBar(), this.buildKeys());
      this.status = make("p", { class: "skv-hidden", role: "status" });
      this.root.append(stage);
      if (clip.answer) this.root.append(this.buildAnswer());
      this.root.append(this.status);
    }

    buildPanes() {
      const box = make("div", { class: "skv-panes" });
      for (const pane of this.panes) {
        pane.canvas = make("canvas", { tabindex: 0, role: "img", "aria-describedby": `skv-keys-${this.number}` });
        pane.tip = make("div", { class: "skv-tip", hidden: true });
        pane.figure = make("figure", { class: "skv-pane" }, make("figcaption", {}, pane.title), pane.canvas, pane.tip);
        box.append(pane.figure);
      }
      return box;
    }

    buildTime() {
      const last = Math.max(this.total - 1, 0);
      this.slider = make("input", {
        type: "range", min: 0, max: last, step: 1, value: 0, "aria-label": "Frame", disabled: this.total < 2,
        oninput: () => { this.play(false); this.show(Number(this.slider.value)); },
      });
      this.strip = make("canvas", { class: "skv-strip", "aria-hidden": "true", hidden: this.method < 0 });
      return make("div", { class: "skv-time" }, this.strip, this.slider);
    }

    buildBar() {
      const button = (name, label, act, off = false) =>
        make("button", { type: "button", "aria-label": label, title: label, onclick: act, disabled: off }, icon(name));
      const still = this.total < 2;
      this.playButton = button("play", "Play", () => this.play(!this.playing), still);
      this.playButton.className = "skv-play";
      this.clock = make("span", { class: "skv-clock" });
      const speed = make("select", { "aria-label": "Speed", disabled: still, onchange: (event) => this.setSpeed(Number(event.target.value)) });
      for (const value of SPEEDS) speed.append(make("option", { value, selected: value === 1 }, `${value}×`));
      this.speedSelect = speed;
      const views = make("div", { class: "skv-set", role: "group", "aria-label": "View" });
      for (const [name, angles] of Object.entries(VIEWS)) {
        views.append(make("button", { type: "button", onclick: () => this.turnTo(angles, `Seen from the ${name.toLowerCase()}`) }, name));
      }
      const zoom = make("div", { class: "skv-set", role: "group", "aria-label": "Zoom" },
        button("minus", "Smaller", () => this.scale(1 / 1.25)), button("plus", "Larger", () => this.scale(1.25)));
      const bar = make("div", { class: "skv-bar" },
        make("div", { class: "skv-set skv-transport", role: "group", "aria-label": "Playback" },
          button("back", "One frame back", () => this.step(-1), still), this.playButton,
          button("forward", "One frame on", () => this.step(1), still)),
        this.clock, speed);
      if (!this.clip.flat) bar.append(views);
      this.themeButton = button("theme", "", () => this.nextTheme());
      this.themeButton.classList.add("skv-theme");
      const checks = make("div", { class: "skv-checks" });
      bar.append(zoom, this.themeButton, checks);
      if (this.panes.length > 1) {
        checks.append(this.buildCheck("As recorded", true, (on) => {
          this.panes[0].shown = on;
          this.panes[0].figure.hidden = !on;
          this.draw();
        }));
      }
      checks.append(this.buildCheck("Joint names", false, (on) => { this.names = on; this.draw(); }));
      this.sayTheme();
      return bar;
    }

    buildCheck(label, checked, act) {
      const box = make("input", { type: "checkbox", checked, onchange: (event) => act(event.target.checked) });
      return make("label", { class: "skv-check" }, box, label);
    }

    buildKeys() {
      const keys = [
        ["Space", "play or pause"], [", .", "one frame back or on"], ["Home End", "first or last frame"],
        ["[ ]", "slower or faster"], ["← → ↑ ↓", "turn, on a picture"], ["+ −", "larger or smaller"],
        ["0", "first view"], ["J", "next joint, Shift+J the one before"], ["T", "colours: of the system, dark, light"],
      ];
      const list = make("dl", {});
      for (const [key, what] of keys) list.append(make("div", {}, make("dt", {}, key), make("dd", {}, what)));
      return make("details", { class: "skv-keys" }, make("summary", {}, "Keys"),
        make("div", { id: `skv-keys-${this.number}` }, list,
          make("p", {}, "Drag to turn; pinch, or turn the wheel on a picture that was clicked, to zoom. Point at a joint or a bone for its name. Left limbs are lighter.")));
    }

    buildAnswer() {
      const { answer } = this.clip;
      const list = make("ol", { class: "skv-top" });
      for (const [name, share] of answer.top) {
        const bar = make("i", {});
        bar.style.width = percent(share);
        list.append(make("li", {}, make("span", {}, name), make("b", {}, percent(share)), bar));
      }
      const aside = make("aside", { class: "skv-answer", "aria-label": "Prediction" },
        make("h2", {}, "Prediction"), make("p", { class: "skv-note" }, `${answer.network}, trained on ${answer.trained_on}`), list);
      if (this.evidence.length) aside.append(this.buildReasons(answer));
      if (answer.layers.length) aside.append(this.buildLayers(answer.layers));
      return aside;
    }

    buildReasons(answer) {
      const name = `skv-method-${this.number}`;
      const set = make("fieldset", {}, make("legend", {}, `Why “${answer.target}”`));
      ["Off", ...this.evidence.map((each) => each.title)].forEach((title, place) => {
        const radio = make("input", { type: "radio", name, checked: place === 1, onchange: () => this.setMethod(place - 1) });
        set.append(make("label", { class: "skv-check" }, radio, title));
      });
      this.ranking = make("ol", { class: "skv-ranks" });
      this.moments = make("p", { class: "skv-note" });
      const [joints, frames] = answer.agreement;
      const says = (rho) => (rho === null ? "not defined" : (Math.round(rho * 100) / 100 + 0).toFixed(2).replace("-", "−"));
      set.append(
        make("p", { class: "skv-key" }, make("i", { class: "skv-for" }), "speaks for it", make("i", { class: "skv-against" }), "against it"),
        this.ranking, this.moments,
        make("p", { class: "skv-note" }, `Agreement of the two methods, rank correlation: joints ${says(joints)}, moments ${says(frames)}.${answer.note ? ` ${answer.note}` : ""}`));
      this.sayRanks();
      return set;
    }

    buildLayers(layers) {
      this.layerNote = make("p", { class: "skv-note" });
      const select = make("select", { "aria-label": "Layer", onchange: (event) => this.setLayer(Number(event.target.value)) },
        make("option", { value: -1 }, "Off"));
      layers.forEach((each, place) => select.append(make("option", { value: place }, `Layer ${place + 1}`)));
      const set = make("fieldset", {}, make("legend", {}, "Learned links"), select, this.layerNote);
      this.setLayer(-1);
      return set;
    }

    // ---- what the reader does ----
    listen() {
      const listens = this.host === this.root ? this.root : document; // a page of its own
      listens.addEventListener("keydown", (event) => this.onKey(event));
      for (const pane of this.panes) this.listenTo(pane);
      new ResizeObserver(() => this.draw()).observe(this.root);
      this.night.addEventListener("change", () => this.readColours());
      new MutationObserver(() => { this.sayTheme(); this.readColours(); })
        .observe(this.host, { attributeFilter: ["data-skelab-theme"] });
    }

    listenTo(pane) {
      const { canvas } = pane;
      const fingers = new Map();
      let spread = 0, moved = 0;
      const gap = () => {
        const [a, b] = [...fingers.values()];
        return Math.hypot(a.x - b.x, a.y - b.y);
      };
      canvas.addEventListener("pointerdown", (event) => {
        canvas.setPointerCapture(event.pointerId);
        fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
        moved = 0;
        spread = fingers.size === 2 ? gap() : 0;
      });
      canvas.addEventListener("pointermove", (event) => {
        const before = fingers.get(event.pointerId);
        if (!before) {
          pane.at = event.pointerType === "mouse" ? { clientX: event.clientX, clientY: event.clientY } : null;
          return this.point(pane, event);
        }
        const [dx, dy] = [event.clientX - before.x, event.clientY - before.y];
        fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
        moved += Math.abs(dx) + Math.abs(dy);
        if (fingers.size === 1) return this.turn(-dx * 0.01, dy * 0.01);
        const now = gap();
        if (spread) this.scale(now / spread);
        spread = now;
      });
      const lift = (event) => {
        fingers.delete(event.pointerId);
        spread = 0;
        if (event.type === "pointerup" && moved < 6) this.point(pane, event);
      };
      for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, lift);
      canvas.addEventListener("pointerleave", (event) => {
        if (event.pointerType !== "mouse") return;
        pane.at = null;
        this.forget(pane);
      });
      canvas.addEventListener("wheel", (event) => {
        if (document.activeElement !== canvas && !event.ctrlKey) return; // the page scrolls
        event.preventDefault();
        this.scale(Math.exp(-event.deltaY * 0.0015));
      }, { passive: false });
    }

    onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { target, key } = event;
      const onCanvas = target.tagName === "CANVAS";
      if (key === " " && ["BUTTON", "SUMMARY", "SELECT"].includes(target.tagName)) return;
      if (key === " " && target.matches("input:not([type=range])")) return;
      const turns = { ArrowLeft: [0.12, 0], ArrowRight: [-0.12, 0], ArrowUp: [0, 0.08], ArrowDown: [0, -0.08] };
      const acts = {
        " ": () => this.play(!this.playing),
        ",": () => this.step(-1), ".": () => this.step(1),
        "[": () => this.nextSpeed(-1), "]": () => this.nextSpeed(1),
        "+": () => this.scale(1.25), "=": () => this.scale(1.25), "-": () => this.scale(1 / 1.25),
        0: () => { this.zoom = 1; this.turnTo(this.clip.flat ? [0, 0] : START, "First view"); },
        j: () => this.nextJoint(1), J: () => this.nextJoint(-1),
        t: () => this.nextTheme(),
        Home: () => this.jump(0), End: () => this.jump(this.total - 1),
        Escape: () => this.panes.forEach((pane) => this.forget(pane)),
      };
      const act = onCanvas && turns[key] ? () => this.turn(...turns[key]) : acts[key];
      if (!act) return;
      event.preventDefault();
      act();
    }

    play(on) {
      if (on === this.playing || this.total < 2) return;
      this.playing = on;
      this.root.dataset.playing = on;
      this.playButton.replaceChildren(icon(on ? "pause" : "play"));
      this.playButton.setAttribute("aria-label", on ? "Pause" : "Play");
      this.playButton.title = on ? "Pause" : "Play";
      this.say(on ? "Playing" : `Paused at ${this.where()}`);
      if (!on) return this.draw();
      let exact = this.frame, before = null;
      const tick = (now) => {
        if (!this.playing || !this.root.isConnected) return;
        if (before !== null) exact = (exact + ((now - before) / 1000) * this.clip.fps * this.speed) % this.total;
        before = now;
        if (Math.floor(exact) !== this.frame) this.show(Math.floor(exact));
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    }

    step(by) { this.jump((this.frame + by + this.total) % this.total); }

    jump(frame) {
      this.play(false);
      this.show(frame);
      this.say(this.where());
    }

    show(frame) {
      this.frame = frame;
      this.root.dataset.frame = frame;
      this.slider.value = frame;
      this.slider.setAttribute("aria-valuetext", this.where());
      this.clock.textContent = `${frame + 1} / ${this.total} · ${(frame / this.clip.fps).toFixed(2)} s`;
      this.draw();
    }

    setSpeed(speed) {
      this.speed = speed;
      this.speedSelect.value = speed;
      this.say(`Speed ${speed}`);
    }

    nextSpeed(by) { this.setSpeed(SPEEDS[Math.min(Math.max(SPEEDS.indexOf(this.speed) + by, 0), SPEEDS.length - 1)]); }

    turn(yaw, pitch) {
      if (this.clip.flat) return;
      this.angles = [this.angles[0] + yaw, Math.min(Math.max(this.angles[1] + pitch, -1.5), 1.5)];
      this.draw();
    }

    turnTo(angles, said) {
      this.angles = [...angles];
      this.say(said);
      this.draw();
    }

    scale(by) {
      this.zoom = Math.min(Math.max(this.zoom * by, 0.3), 12);
      this.draw();
    }

    setMethod(place) {
      this.method = place;
      this.strip.hidden = place < 0;
      this.sayRanks();
      this.draw();
    }

    setLayer(place) {
      this.layer = place;
      const layer = this.clip.answer.layers[place];
      this.layerNote.textContent = layer
        ? `The ${layer.links.length} strongest links beyond the bones. ${percent(layer.beyond)} of what joints pass to each other does not go along a bone.`
        : "What each layer passes between joints, for this clip.";
      if (this.playButton) this.draw();
    }

    nextTheme() {
      const themes = ["auto", "dark", "light"];
      this.host.dataset.skelabTheme = themes[(themes.indexOf(this.host.dataset.skelabTheme) + 1) % 3];
    }

    nextJoint(by) {
      const { joints } = this.clip;
      const pane = this.panes.findLast((each) => each.shown);
      const places = this.bodiesAt(pane).flatMap((body) => joints.map((_, joint) => [body, joint]));
      if (!places.length) return this.say("Nobody is there in this frame");
      const now = this.chosen && places.findIndex(([b, j]) => b === this.chosen.body && j === this.chosen.joint);
      const [body, joint] = places[((now ?? -1) + by + places.length) % places.length];
      this.panes.forEach((each) => this.forget(each));
      this.chosen = { pane, body, joint };
      this.draw();
      this.tell(pane, { body, joint });
    }

    // ---- names ----
    point(pane, event) {
      const box = pane.canvas.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      let best = null, least = REACH;
      for (const hit of pane.hits) {
        const d = hit.bone ? fromLine(x, y, hit) + 5 : Math.hypot(hit.x - x, hit.y - y); // joints first
        if (d < least) [best, least] = [hit, d];
      }
      this.chosen = best && !best.bone ? { pane, body: best.body, joint: best.joint } : null;
      if (best) this.tell(pane, best);
      else this.forget(pane);
      this.draw();
    }

    tell(pane, { body, joint, bone }) {
      const { joints } = this.clip;
      const units = pane.units === "metres" ? " m" : "";
      const who = pane.bodies.length > 1 ? `body ${body + 1}: ` : "";
      let text;
      if (bone) {
        const [a, b] = bone.map((each) => this.pointOf(pane, body, each));
        text = `${who}${joints[bone[1]]} – ${joints[bone[0]]}, ${Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]).toFixed(2)}${units}`;
      } else {
        const place = this.pointOf(pane, body, joint).slice(0, this.clip.flat ? 2 : 3);
        text = `${who}${joints[joint]} (${place.map((value) => value.toFixed(2)).join(", ")})${units}`;
        const value = this.valueOf(body, joint);
        if (value && pane === this.panes.at(-1)) text += ` · ${value > 0 ? "for" : "against"} it, ${percent(Math.abs(value))} of the strongest`;
      }
      const hit = pane.hits.find((each) => (bone ? each.bone === bone && each.body === body : each.joint === joint && each.body === body));
      const [x, y] = !hit ? [20, 20] : bone ? [(hit.x + hit.u) / 2, (hit.y + hit.v) / 2] : [hit.x, hit.y];
      pane.tip.textContent = text;
      pane.tip.hidden = false;
      const room = pane.canvas.clientWidth - pane.tip.offsetWidth - 4;
      pane.tip.style.left = `${Math.max(Math.min(x - pane.tip.offsetWidth / 2, room), 4)}px`;
      pane.tip.style.top = `${pane.canvas.offsetTop + (y > 46 ? y - 40 : y + 18)}px`;
      if (!this.playing) this.say(text);
    }

    forget(pane) {
      pane.tip.hidden = true;
      if (this.chosen?.pane === pane) this.chosen = null;
      this.draw();
    }

    say(text) { this.status.textContent = text; }

    where() { return `frame ${this.frame + 1} of ${this.total}, ${(this.frame / this.clip.fps).toFixed(2)} seconds`; }

    sayTheme() {
      const theme = this.host.dataset.skelabTheme;
      const label = `Colours: ${theme === "auto" ? "of the system" : theme}`;
      this.themeButton.setAttribute("aria-label", label);
      this.themeButton.title = label;
    }

    sayRanks() {
      const each = this.evidence[this.method];
      this.ranking.hidden = this.moments.hidden = !each;
      if (!each) return;
      const rows = each.ranks.map(([body, joint, share]) => {
        const who = this.panes.at(-1).bodies.length > 1 ? `body ${body + 1}, ` : "";
        return make("li", {}, make("span", {}, who + this.clip.joints[joint]), make("b", {}, percent(share)));
      });
      this.ranking.replaceChildren(...rows);
      const at = (byte) => `${(each.frames.indexOf(byte) / this.clip.fps).toFixed(2)} s`;
      const [low, high] = [Math.min(...each.frames), Math.max(...each.frames)];
      const parts = [high > 128 ? `most for it at ${at(high)}` : "", low < 128 ? `most against it at ${at(low)}` : ""];
      this.moments.textContent = `Moments: ${parts.filter(Boolean).join(", ") || "no difference"}.`;
    }

    // ---- drawing ----
    readColours() {
      const theme = this.host.dataset.skelabTheme;
      const dark = theme === "dark" || (theme === "auto" && this.night.matches);
      this.host.toggleAttribute("data-skelab-dark", dark);
      const style = getComputedStyle(this.host);
      const read = (name) => style.getPropertyValue(`--skv-${name}`).trim();
      this.colours = Object.fromEntries(["ink", "muted", "rule", "paper", "bone", "for", "against", "link"].map((name) => [name, read(name)]));
      this.colours.bodies = [0, 1, 2].map((body) => [read(`body-${body}`), read(`left-${body}`)]);
      this.draw();
    }

    draw() {
      if (this.pending) return;
      this.pending = true;
      requestAnimationFrame(() => {
        this.pending = false;
        for (const pane of this.panes.filter((each) => each.shown)) {
          this.paint(pane);
          if (this.playing && pane.at) this.point(pane, pane.at); // people move under the pointer
        }
        if (this.method >= 0) this.paintStrip();
      });
    }

    canvasOf(canvas) {
      const ratio = Math.min(devicePixelRatio || 1, 2);
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, height);
      pen.lineCap = pen.lineJoin = "round";
      return [pen, width, height];
    }

    // Width over height of where the bodies are.
    shape({ half: [x, y, z] }) {
      return this.clip.flat ? x / y : Math.hypot(x, z) / (y + 0.25 * z);
    }

    // A function from a point in space to x, y, depth and pixels a unit; y points down.
    camera(pane, width, height) {
      const [yaw, pitch] = this.angles;
      const [sy, cy, sp, cp] = [Math.sin(yaw), Math.cos(yaw), Math.sin(pitch), Math.cos(pitch)];
      const alike = this.panes.filter((each) => each.shown && each.units === pane.units);
      const fit = Math.min(...alike.map(({ half: [x, y, z] }) => {
        const across = this.clip.flat ? x : Math.hypot(x, z);
        return Math.min((width / 2 - 14) / across, (height / 2 - 18) / (y + (this.clip.flat ? 0 : 0.25 * z)));
      }));
      const far = 4 * Math.hypot(...pane.half);
      const size = fit * this.zoom;
      return (point) => {
        const [x, y, z] = point.map((value, axis) => value - pane.centre[axis]);
        const across = x * cy + z * sy, deep = z * cy - x * sy;
        const up = y * cp + deep * sp, depth = deep * cp - y * sp;
        const unit = (size * far) / Math.max(far + depth, far / 20);
        return { x: width / 2 - across * unit, y: height / 2 - up * unit, depth, unit };
      };
    }

    bodiesAt(pane) {
      const stride = this.clip.joints.length * 3;
      return pane.bodies.map((_, body) => body).filter((body) => {
        const points = pane.bodies[body].subarray(this.frame * stride, (this.frame + 1) * stride);
        return points.some((value) => value === value);
      });
    }

    pointOf(pane, body, joint, frame = this.frame) {
      const at = (frame * this.clip.joints.length + joint) * 3;
      return Array.from(pane.bodies[body].subarray(at, at + 3));
    }

    // From -1, against the class, to 1, for it.
    valueOf(body, joint) {
      const table = this.evidence[this.method]?.joints[body];
      return table ? (table[this.frame * this.clip.joints.length + joint] - 128) / 127 : 0;
    }

    paint(pane) {
      const [pen, width, height] = this.canvasOf(pane.canvas);
      if (!width) return;
      const see = this.camera(pane, width, height);
      const bodies = this.bodiesAt(pane);
      const last = pane === this.panes.at(-1);
      if (!this.clip.flat) this.paintFloor(pen, pane, see, bodies);
      pane.hits = [];
      const parts = [];
      for (const body of bodies) this.place(pane, body, see, parts);
      parts.sort((a, b) => b.depth - a.depth);
      const told = last && this.method >= 0;
      for (const part of parts) {
        if (part.bone) this.paintBone(pen, part, told);
        else this.paintJoint(pen, part, told);
      }
      if (last && this.layer >= 0) this.paintLinks(pen, pane, bodies);
      if (this.names) this.paintNames(pen, pane);
      if (!bodies.length) {
        pen.fillStyle = this.colours.muted;
        pen.font = "14px system-ui, sans-serif";
        pen.textAlign = "center";
        pen.fillText("nobody in this frame", width / 2, height / 2);
      }
      this.paintChosen(pen, pane);
      const seen = bodies.length === 1 ? "one body" : `${bodies.length} bodies`;
      if (!this.playing) pane.canvas.setAttribute("aria-label", `${pane.title}: ${seen}, ${this.where()}`);
    }

    place(pane, body, see, parts) {
      const { joints, bones, sides } = this.clip;
      const colours = this.colours.bodies[body % 3];
      const spots = joints.map((_, joint) => {
        const point = this.pointOf(pane, body, joint);
        return point[0] === point[0] ? see(point) : null;
      });
      for (const bone of bones) {
        const [a, b] = bone.map((joint) => spots[joint]);
        if (!a || !b) continue;
        const side = sides[bone[0]] || sides[bone[1]];
        const line = { bone, body, x: a.x, y: a.y, u: b.x, v: b.y };
        pane.hits.push(line);
        parts.push({ ...line, depth: (a.depth + b.depth) / 2, wide: pane.limb * (a.unit + b.unit) / 2, colour: colours[side > 0 ? 1 : 0] });
      }
      spots.forEach((spot, joint) => {
        if (!spot) return;
        pane.hits.push({ joint, body, x: spot.x, y: spot.y });
        const head = joints[joint] === "head" || joints[joint] === "nose";
        parts.push({ joint, body, ...spot, depth: spot.depth - 0.01 * pane.limb, head, wide: pane.limb * spot.unit, colour: colours[sides[joint] > 0 ? 1 : 0] });
      });
    }

    paintBone(pen, part, told) {
      pen.strokeStyle = told ? this.colours.bone : part.colour;
      pen.lineWidth = Math.max(part.wide, 1.5);
      pen.beginPath();
      pen.moveTo(part.x, part.y);
      pen.lineTo(part.u, part.v);
      pen.stroke();
    }

    paintJoint(pen, part, told) {
      const value = told ? this.valueOf(part.body, part.joint) : 0;
      const round = part.head ? 1.5 : 0.72;
      pen.beginPath();
      pen.arc(part.x, part.y, Math.max(part.wide * (round + (told ? 1.5 * Math.abs(value) : 0)), 1.6), 0, 7);
      pen.fillStyle = told ? this.colours.bone : part.colour;
      if (told && Math.abs(value) > 0.04) {
        pen.globalAlpha = 0.35 + 0.65 * Math.abs(value);
        pen.fillStyle = value > 0 ? this.colours.for : this.colours.against;
      }
      pen.fill();
      pen.globalAlpha = 1;
      if (told) return;
      pen.strokeStyle = this.colours.paper; // joints stand apart from the limbs behind them
      pen.lineWidth = Math.max(part.wide * 0.15, 0.8);
      pen.stroke();
    }

    paintFloor(pen, pane, see, bodies) {
      const [cx, , cz] = pane.centre;
      const reach = Math.max(pane.half[0], pane.half[2]) * 1.3 + 4 * pane.limb;
      const gap = pane.units === "metres" && reach > 0.4 ? 0.5 : reach / 2.5;
      const steps = Math.ceil(reach / gap);
      pen.strokeStyle = this.colours.rule;
      pen.lineWidth = 1;
      for (let k = -steps; k <= steps; k++) {
        const ends = [
          [[cx + k * gap, pane.floor, cz - steps * gap], [cx + k * gap, pane.floor, cz + steps * gap]],
          [[cx - steps * gap, pane.floor, cz + k * gap], [cx + steps * gap, pane.floor, cz + k * gap]],
        ];
        for (const [a, b] of ends) {
          const [p, q] = [see(a), see(b)];
          pen.beginPath();
          pen.moveTo(p.x, p.y);
          pen.lineTo(q.x, q.y);
          pen.stroke();
        }
      }
      pen.globalAlpha = 0.8; // shadows, straight below
      for (const body of bodies) {
        for (const bone of this.clip.bones) {
          const [a, b] = bone.map((joint) => this.pointOf(pane, body, joint));
          if (a[0] !== a[0] || b[0] !== b[0]) continue;
          const [p, q] = [see([a[0], pane.floor, a[2]]), see([b[0], pane.floor, b[2]])];
          pen.lineWidth = Math.max(pane.limb * p.unit * 0.8, 1);
          pen.beginPath();
          pen.moveTo(p.x, p.y);
          pen.lineTo(q.x, q.y);
          pen.stroke();
        }
      }
      pen.globalAlpha = 1;
    }

    paintLinks(pen, pane, bodies) {
      pen.strokeStyle = this.colours.link;
      for (const body of bodies) {
        const spots = new Map(pane.hits.filter((hit) => !hit.bone && hit.body === body).map((hit) => [hit.joint, hit]));
        for (const [a, b, weight] of this.clip.answer.layers[this.layer].links) {
          const [p, q] = [spots.get(a), spots.get(b)];
          if (!p || !q) continue;
          pen.globalAlpha = 0.1 + 0.8 * weight ** 2;
          pen.lineWidth = 0.8 + 1.8 * weight;
          pen.beginPath();
          pen.moveTo(p.x, p.y);
          pen.quadraticCurveTo((p.x + q.x) / 2 + (q.y - p.y) * 0.18, (p.y + q.y) / 2 - (q.x - p.x) * 0.18, q.x, q.y);
          pen.stroke();
        }
      }
      pen.globalAlpha = 1;
    }

    paintNames(pen, pane) {
      pen.font = "11px system-ui, sans-serif";
      pen.textAlign = "left";
      pen.lineWidth = 3;
      pen.strokeStyle = this.colours.paper;
      pen.fillStyle = this.colours.ink;
      const taken = [];
      for (const hit of pane.hits) {
        if (hit.bone) continue;
        const wide = pen.measureText(this.clip.joints[hit.joint]).width;
        const fits = hit.x + 9 + wide < pane.canvas.clientWidth;
        const box = [fits ? hit.x + 9 : hit.x - 9 - wide, hit.y - 6, wide, 12];
        if (taken.some((other) => overlap(box, other))) continue;
        taken.push(box);
        pen.strokeText(this.clip.joints[hit.joint], box[0], hit.y + 4);
        pen.fillText(this.clip.joints[hit.joint], box[0], hit.y + 4);
      }
    }

    paintChosen(pen, pane) {
      if (!this.chosen) return;
      const { body, joint } = this.chosen;
      const hit = pane.hits.find((each) => each.joint === joint && each.body === body);
      if (!hit) return;
      pen.strokeStyle = this.colours.ink;
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(hit.x, hit.y, 9, 0, 7);
      pen.stroke();
    }

    // Each frame's sum over the joints, above the line for the class and below it against.
    paintStrip() {
      const [pen, width, height] = this.canvasOf(this.strip);
      const { frames } = this.evidence[this.method];
      const inset = 8; // half of the slider's thumb
      const room = width - 2 * inset;
      const middle = height / 2;
      const gap = room / this.total;
      frames.forEach((byte, frame) => {
        const value = (byte - 128) / 127;
        pen.fillStyle = value > 0 ? this.colours.for : this.colours.against;
        const tall = Math.max(Math.abs(value) * (middle - 1), 0.5);
        pen.fillRect(inset + frame * gap, value > 0 ? middle - tall : middle, Math.max(gap - 0.5, 0.8), tall);
      });
      pen.fillStyle = this.colours.rule;
      pen.fillRect(inset, middle - 0.5, room, 1);
      pen.fillStyle = this.colours.ink;
      pen.fillRect(inset + (this.total > 1 ? this.frame / (this.total - 1) : 0) * room - 0.75, 0, 1.5, height);
    }
  }

  const overlap = ([x, y, w, h], [u, v, p, q]) => x < u + p && u < x + w && y < v + q && v < y + h;

  function fromLine(x, y, { x: a, y: b, u, v }) {
    const length = (u - a) ** 2 + (v - b) ** 2 || 1;
    const share = Math.min(Math.max(((x - a) * (u - a) + (y - b) * (v - b)) / length, 0), 1);
    return Math.hypot(x - a - share * (u - a), y - b - share * (v - b));
  }

  globalThis.mountPlayer = (root, clip) => {
    clip ??= JSON.parse(root.querySelector("script[type='application/json']").textContent);
    root.player = new Player(root, clip);
    return root.player;
  };
  for (const root of document.querySelectorAll("[data-skelab-clip]")) globalThis.mountPlayer(root);
})();
