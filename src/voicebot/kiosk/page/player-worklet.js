// Plays the bot's audio: every sample at the frame that the server gave it.
//
// What comes too late is played at once, and its utterance goes on shifted by as much. A clear
// drops all from one frame on, with a short fade before it, since a cut would click.

const AUDIBLE = 10 ** (-45 / 20);
const FADE_FRAMES = 64;
const UTTERANCES_KEPT = 8;
const REPORT_BLOCKS = 20;

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunks = [];
    this.utterances = new Map();
    this.heardSamples = 0;
    this.blocks = 0;
    this.power = 0;
    this.port.onmessage = ({ data }) => {
      if (data.kind === "play") this.enqueue(data);
      else if (data.kind === "clear") this.clear(data);
    };
  }

  utterance(number) {
    let one = this.utterances.get(number);
    if (!one) {
      one = { shift: 0, isAudible: false };
      this.utterances.set(number, one);
      if (this.utterances.size > UTTERANCES_KEPT) {
        this.utterances.delete(this.utterances.keys().next().value);
      }
    }
    return one;
  }

  enqueue({ position, utterance, samples }) {
    const one = this.utterance(utterance);
    const late = currentFrame - (position + one.shift);
    if (late > 0) {
      one.shift += late;
      this.port.postMessage({ kind: "late", utterance, frames: one.shift });
    }
    this.chunks.push({ first: position + one.shift, utterance, samples });
  }

  clear({ sequence, frame }) {
    const at = Math.max(frame, currentFrame);
    this.chunks = this.chunks.filter((chunk) => chunk.first < at);
    for (const chunk of this.chunks) {
      const kept = at - chunk.first;
      if (kept >= chunk.samples.length) continue;
      chunk.samples = chunk.samples.slice(0, kept);
      const fade = Math.min(FADE_FRAMES, kept, Math.max(0, at - currentFrame));
      for (let index = 0; index < fade; index += 1) {
        chunk.samples[kept - 1 - index] *= index / fade;
      }
    }
    this.port.postMessage({ kind: "cleared", sequence, frame: at });
  }

  process(_inputs, [output]) {
    const out = output[0];
    const start = currentFrame;
    const end = start + out.length;
    for (const chunk of this.chunks) {
      const from = Math.max(start, chunk.first);
      const to = Math.min(end, chunk.first + chunk.samples.length);
      for (let frame = from; frame < to; frame += 1) {
        const sample = chunk.samples[frame - chunk.first];
        out[frame - start] += sample;
        if (Math.abs(sample) > AUDIBLE) this.heard(chunk.utterance, frame);
      }
    }
    this.chunks = this.chunks.filter((chunk) => chunk.first + chunk.samples.length > end);
    for (const sample of out) this.power += sample * sample;
    this.blocks += 1;
    if (this.blocks === REPORT_BLOCKS) this.report(out.length);
    return true;
  }

  heard(number, frame) {
    this.heardSamples += 1;
    const one = this.utterance(number);
    if (!one.isAudible) {
      one.isAudible = true;
      this.port.postMessage({ kind: "audible", utterance: number, frame });
    }
  }

  report(blockLength) {
    const level = Math.sqrt(this.power / (this.blocks * blockLength));
    this.port.postMessage({ kind: "level", level, heardSamples: this.heardSamples });
    this.blocks = 0;
    this.power = 0;
  }
}

registerProcessor("player", Player);
