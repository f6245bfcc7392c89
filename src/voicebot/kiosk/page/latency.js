// How fast the last answer came: its waterfall against the line of human turn-taking.

const TARGET_MS = 300;
const SCALE_LEAST_MS = 500;
const PARTS = ["endpoint", "asr", "llm", "tts", "output", "unattributed"];

export class LatencyView {
  constructor(root) {
    this.root = root;
    this.total = root.querySelector("[data-total]");
    this.bar = root.querySelector("[data-bar]");
    this.line = root.querySelector("[data-line]");
    this.legend = root.querySelector("[data-legend]");
    this.p50 = root.querySelector("[data-p50]");
    this.p95 = root.querySelector("[data-p95]");
    this.words = {};
  }

  show(latency) {
    this.last = latency;
    const { words } = this;
    const shownMs = latency.page_ms ?? latency.total_ms;
    const scale = Math.max(SCALE_LEAST_MS, latency.total_ms * 1.08);
    this.root.classList.add("has-turn");
    this.root.classList.toggle("is-slow", shownMs > TARGET_MS);
    this.total.textContent = Math.round(shownMs);
    this.p50.textContent = `${Math.round(latency.p50_ms)} ms`;
    this.p95.textContent = `${Math.round(latency.p95_ms)} ms`;
    this.line.style.left = `${(TARGET_MS / scale) * 100}%`;
    const parts = PARTS.map((name) => [name, latency.parts_ms[name] ?? 0]);
    const seen = parts.filter(([, ms]) => ms >= 0.5);
    this.bar.replaceChildren(
      ...seen.map(([name, ms]) => {
        const part = document.createElement("span");
        part.className = `part part-${name}`;
        part.style.width = `${(ms / scale) * 100}%`;
        return part;
      }),
    );
    this.legend.replaceChildren(
      ...seen.map(([name, ms]) => {
        const item = document.createElement("li");
        item.className = `part-${name}`;
        item.append(words[name] ?? name, " ");
        const figure = document.createElement("b");
        figure.textContent = Math.round(ms);
        item.append(figure);
        return item;
      }),
    );
    const told = seen.map(([name, ms]) => `${words[name] ?? name} ${Math.round(ms)} ms`);
    this.bar.setAttribute("aria-label", `${Math.round(shownMs)} ms: ${told.join(", ")}`);
  }

  setWords(words) {
    this.words = words;
    if (this.last) this.show(this.last);
  }
}
