// The figure: a calm drop of light that shows what goes on and how loud it is.

const TAU = Math.PI * 2;
const POINTS = 96;
const LAYERS = 4;
const LEVEL_FULL = 0.16;
const FRAME_MS = 28; // about 30 a second: it runs for weeks
const COLOURS = ["--figure", "--figure-warm", "--figure-cool"];

const MOODS = {
  starting: { size: 0.62, wave: 0.012, speed: 0.25, reach: 0.0, glow: 0.25 },
  inviting: { size: 0.78, wave: 0.05, speed: 0.35, reach: 0.05, glow: 0.55 },
  listening: { size: 0.76, wave: 0.035, speed: 0.5, reach: 0.22, glow: 0.6 },
  thinking: { size: 0.62, wave: 0.02, speed: 1.5, reach: 0.0, glow: 0.5 },
  speaking: { size: 0.74, wave: 0.05, speed: 0.9, reach: 0.26, glow: 0.8 },
};

const mix = (from, to, share) => from + (to - from) * share;

function parse(colour) {
  const found = colour.trim().match(/^#([0-9a-f]{6})$/iu);
  const value = found ? Number.parseInt(found[1], 16) : 0x888888;
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

export class Figure {
  /** @param level gives how loud the moment is, 0 to 1, for a state. */
  constructor(canvas, level) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.level = level;
    this.state = "starting";
    this.shown = { ...MOODS.starting };
    this.colours = [0, 1, 2].map(() => [128, 128, 128]);
    this.loud = 0;
    this.phase = 0;
    this.lastMs = 0;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
    requestAnimationFrame((ms) => this.draw(ms));
  }

  resize() {
    const scale = Math.min(2, devicePixelRatio || 1);
    const { width, height } = this.canvas.getBoundingClientRect();
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
  }

  set(state) {
    this.state = state;
  }

  draw(ms) {
    if (ms - this.lastMs < FRAME_MS) {
      requestAnimationFrame((next) => this.draw(next));
      return;
    }
    const passed = Math.min(0.1, (ms - this.lastMs) / 1000);
    this.lastMs = ms;
    this.settle(passed);
    this.paint();
    requestAnimationFrame((next) => this.draw(next));
  }

  settle(passed) {
    const mood = MOODS[this.state] ?? MOODS.starting;
    const share = 1 - Math.exp(-passed * 5);
    for (const key of Object.keys(mood)) this.shown[key] = mix(this.shown[key], mood[key], share);
    const style = getComputedStyle(this.canvas);
    this.colours = COLOURS.map((name, index) => {
      const wanted = parse(style.getPropertyValue(name));
      return this.colours[index].map((value, part) => mix(value, wanted[part], share));
    });
    const loud = Math.min(1, this.level(this.state) / LEVEL_FULL) ** 0.6;
    this.loud = mix(this.loud, loud, 1 - Math.exp(-passed * (loud > this.loud ? 22 : 7)));
    this.phase += passed * this.shown.speed * (this.still.matches ? 0 : 1);
  }

  paint() {
    const { context, canvas, shown, loud } = this;
    const [red, green, blue] = this.colours[0].map(Math.round);
    const { width, height } = canvas;
    const half = Math.min(width, height) / 2;
    context.clearRect(0, 0, width, height);
    context.save();
    context.translate(width / 2, height / 2);
    const breath = this.still.matches ? 0 : Math.sin(this.phase * 2.2) * 0.02;
    const radius = half * (shown.size * 0.78 + breath + shown.reach * loud * 0.35);

    const halo = context.createRadialGradient(0, 0, radius * 0.4, 0, 0, half);
    halo.addColorStop(0, `rgba(${red},${green},${blue},${0.32 * shown.glow + 0.2 * loud})`);
    halo.addColorStop(1, `rgba(${red},${green},${blue},0)`);
    context.fillStyle = halo;
    context.fillRect(-half, -half, half * 2, half * 2);

    for (let layer = LAYERS - 1; layer > 0; layer -= 1) {
      const spread = 1 + layer * (0.05 + 0.05 * loud * (shown.reach > 0.1 ? 1 : 0));
      this.trace(radius * spread, layer);
      context.fillStyle = `rgba(${red},${green},${blue},${0.2 - layer * 0.045})`;
      context.fill();
    }
    this.paintBody(radius, [red, green, blue]);
    if (this.state === "thinking") this.paintThought(radius, [red, green, blue]);
    context.restore();
  }

  /** Lights of neighbouring hues that drift through the drop. */
  paintBody(radius, [red, green, blue]) {
    const { context, phase, loud } = this;
    context.save();
    this.trace(radius, 0);
    context.clip();
    const ground = context.createLinearGradient(-radius, -radius, radius, radius);
    const lit = [red, green, blue].map((value) => Math.round(mix(value, 255, 0.2)));
    const dim = [red, green, blue].map((value) => Math.round(value * 0.7));
    ground.addColorStop(0, `rgb(${lit})`);
    ground.addColorStop(1, `rgb(${dim})`);
    context.fillStyle = ground;
    context.fillRect(-radius * 1.5, -radius * 1.5, radius * 3, radius * 3);
    const pale = this.colours[1].map((value) => mix(value, 255, 0.45));
    [this.colours[1], this.colours[2], pale].forEach((tint, index) => {
      const turn = phase * (0.55 + index * 0.23) + (index * TAU) / 3 + 3.6;
      const x = Math.cos(turn) * radius * 0.52;
      const y = Math.sin(turn * 0.9) * radius * 0.52;
      const size = radius * (0.95 + 0.25 * loud);
      const light = context.createRadialGradient(x, y, 0, x, y, size);
      const colour = tint.map(Math.round);
      light.addColorStop(0, `rgba(${colour},0.85)`);
      light.addColorStop(1, `rgba(${colour},0)`);
      context.fillStyle = light;
      context.fillRect(-radius * 1.5, -radius * 1.5, radius * 3, radius * 3);
    });
    context.restore();
  }

  /** A closed curve whose radius wanders, more so the louder it is. */
  trace(radius, layer) {
    const { context, shown, loud, phase } = this;
    const wave = shown.wave + shown.reach * 0.32 * loud;
    context.beginPath();
    for (let point = 0; point <= POINTS; point += 1) {
      const angle = (point / POINTS) * TAU;
      const wander =
        Math.sin(angle * 2 + phase * 1.3 + layer * 0.9) * 0.5 +
        Math.sin(angle * 3 - phase * 1.9 + layer * 1.7) * 0.33 +
        Math.sin(angle * 5 + phase * 2.7 - layer) * 0.17 * (0.4 + loud);
      const here = radius * (1 + wave * wander);
      context.lineTo(Math.cos(angle) * here, Math.sin(angle) * here);
    }
    context.closePath();
  }

  paintThought(radius, colour) {
    const { context, phase } = this;
    context.lineCap = "round";
    for (let arc = 0; arc < 3; arc += 1) {
      const at = phase * (1.1 + arc * 0.35) + (arc * TAU) / 3;
      context.beginPath();
      context.arc(0, 0, radius * (1.22 + arc * 0.12), at, at + TAU * 0.16);
      context.strokeStyle = `rgba(${colour.map(Math.round)},${0.9 - arc * 0.25})`;
      context.lineWidth = radius * 0.022;
      context.stroke();
    }
  }
}
