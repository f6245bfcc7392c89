// The page as microphone and loudspeaker.

const REPORT_EVERY_MS = 100;
const HEADER_BYTES = 24;
const MICROPHONE = 1;
const REPLY = 2;
const VERSION = 1;
const FULL_SCALE = 32767;
const CAPTURE_RATE_HZ = 16000;
const UNSENT_BYTES_MAX = 96 * 1024;

const round = (milliseconds) => Math.max(0, milliseconds);

/** Opens the microphone, in the rate that suits the server if the browser can. */
async function openCapture(stream) {
  for (const options of [{ sampleRate: CAPTURE_RATE_HZ }, {}]) {
    const context = new AudioContext({ ...options, latencyHint: "interactive" });
    try {
      const source = context.createMediaStreamSource(stream);
      await context.audioWorklet.addModule("/assets/capture-worklet.js");
      const node = new AudioWorkletNode(context, "capture", {
        numberOfInputs: 1,
        numberOfOutputs: 1,
        channelCount: 1,
        channelCountMode: "explicit",
      });
      // A node is only asked for blocks while it leads somewhere; its output is silence.
      source.connect(node).connect(context.destination);
      return { context, node };
    } catch (error) {
      await context.close();
      // Some browsers join no microphone to a context of another rate than its own.
      if (!("sampleRate" in options) || error.name !== "NotSupportedError") throw error;
    }
  }
  throw new Error("no audio context");
}

export class Microphone {
  constructor(onFrame) {
    this.onFrame = onFrame;
    this.level = 0;
    this.sequence = 0;
  }

  async open() {
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        channelCount: 1,
        echoCancellation: true,
        noiseSuppression: true,
        autoGainControl: true,
      },
    });
    const { context, node } = await openCapture(this.stream);
    this.context = context;
    this.node = node;
    node.port.onmessage = ({ data }) => this.take(data);
    await context.resume();
  }

  get rateHz() {
    return this.context.sampleRate;
  }

  get inputLatencyMs() {
    const [track] = this.stream.getAudioTracks();
    const latency = track?.getSettings().latency;
    return Number.isFinite(latency) ? Math.min(1000, round(latency * 1000)) : 0;
  }

  /** The server counts the frames of each connection from 0. */
  startCount() {
    this.sequence = 0;
  }

  mute(isMuted) {
    this.node?.port.postMessage({ isMuted });
  }

  take({ first, samples, level }) {
    this.level = level;
    const data = new ArrayBuffer(HEADER_BYTES + samples.byteLength);
    const header = new DataView(data);
    header.setUint8(0, MICROPHONE);
    header.setUint8(1, VERSION);
    header.setUint32(4, this.sequence, true);
    header.setBigUint64(8, BigInt(first), true);
    header.setFloat64(16, performance.now(), true);
    new Int16Array(data, HEADER_BYTES).set(samples);
    if (this.onFrame(data, UNSENT_BYTES_MAX)) this.sequence += 1;
  }

  async close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    if (this.context && this.context.state !== "closed") await this.context.close();
    this.level = 0;
  }
}

export class Loudspeaker {
  constructor(tell) {
    this.tell = tell;
    this.level = 0;
    this.heardSamples = 0;
    this.volume = 1;
  }

  async open(rateHz) {
    this.rateHz = rateHz;
    const context = new AudioContext({ sampleRate: rateHz, latencyHint: "interactive" });
    this.context = context;
    await context.audioWorklet.addModule("/assets/player-worklet.js");
    this.node = new AudioWorkletNode(context, "player", {
      numberOfInputs: 0,
      numberOfOutputs: 1,
      outputChannelCount: [1],
    });
    this.gain = new GainNode(context, { gain: this.volume });
    this.node.connect(this.gain).connect(context.destination);
    this.node.port.onmessage = ({ data }) => this.take(data);
    this.timer = setInterval(() => this.report(), REPORT_EVERY_MS);
    await context.resume();
  }

  get isBlocked() {
    return this.context?.state === "suspended";
  }

  setVolume(volume) {
    this.volume = volume;
    if (this.gain) this.gain.gain.setTargetAtTime(volume, this.context.currentTime, 0.02);
  }

  play(data) {
    const header = new DataView(data);
    if (header.getUint8(0) !== REPLY || header.getUint8(1) !== VERSION || !this.node) return;
    const position = Number(header.getBigUint64(8, true));
    const utterance = header.getUint32(16, true);
    const pcm = new Int16Array(data, HEADER_BYTES);
    const samples = Float32Array.from(pcm, (value) => value / FULL_SCALE);
    this.node.port.postMessage({ kind: "play", position, utterance, samples }, [samples.buffer]);
  }

  clear(sequence, frame) {
    this.node?.port.postMessage({ kind: "clear", sequence, frame });
  }

  /** Which frame leaves the loudspeaker when, on the page's clock. */
  output() {
    const { contextTime, performanceTime } = this.context.getOutputTimestamp();
    if (contextTime > 0 && performanceTime > 0) {
      return { frame: Math.round(contextTime * this.rateHz), pageMs: performanceTime };
    }
    const latencyS = this.context.baseLatency + (this.context.outputLatency || 0);
    return {
      frame: Math.round(this.context.currentTime * this.rateHz),
      pageMs: performance.now() + latencyS * 1000,
    };
  }

  report() {
    if (this.context.state !== "running") return;
    const output = this.output();
    this.tell({
      type: "playback",
      rate_hz: this.rateHz,
      rendered_frame: Math.round(this.context.currentTime * this.rateHz),
      page_ms: performance.now(),
      output_frame: output.frame,
      output_page_ms: round(output.pageMs),
    });
  }

  take(data) {
    if (data.kind === "level") {
      this.level = data.level;
      this.heardSamples = data.heardSamples;
    } else if (data.kind === "late") {
      this.tell({ type: "late", utterance: data.utterance, frames: data.frames });
    } else if (data.kind === "cleared") {
      this.tell({ type: "cleared", sequence: data.sequence, frame: data.frame });
    } else if (data.kind === "audible") {
      const output = this.output();
      const leavesMs = output.pageMs + ((data.frame - output.frame) / this.rateHz) * 1000;
      this.tell({ type: "audible", utterance: data.utterance, page_ms: round(leavesMs) });
    }
  }

  async close() {
    clearInterval(this.timer);
    this.node = undefined;
    this.level = 0;
    if (this.context && this.context.state !== "closed") await this.context.close();
  }
}
