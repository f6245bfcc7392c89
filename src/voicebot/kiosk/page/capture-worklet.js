// Takes the microphone's samples, in frames of about 10 ms, as 16-bit PCM.

const FRAME_S = 0.01;
const FULL_SCALE = 32767;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = 128 * Math.max(1, Math.round((FRAME_S * sampleRate) / 128));
    this.isMuted = false;
    this.port.onmessage = ({ data }) => {
      this.isMuted = data.isMuted;
    };
    this.startFrame();
  }

  startFrame() {
    this.samples = new Int16Array(this.size);
    this.filled = 0;
    this.power = 0;
  }

  process([input]) {
    const channel = input[0];
    if (this.filled === 0) this.first = currentFrame;
    for (let index = 0; index < 128; index += 1) {
      const sample = channel && !this.isMuted ? Math.max(-1, Math.min(1, channel[index])) : 0;
      this.power += sample * sample;
      this.samples[this.filled + index] = Math.round(sample * FULL_SCALE);
    }
    this.filled += 128;
    if (this.filled === this.size) {
      const { first, samples } = this;
      const level = Math.sqrt(this.power / this.size);
      this.port.postMessage({ first, samples, level }, [samples.buffer]);
      this.startFrame();
    }
    return true;
  }
}

registerProcessor("capture", Capture);
