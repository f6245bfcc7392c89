// The WebSocket to the server; comes back by itself, ever more slowly.

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 8000;
const SILENT_MS = 12000; // the server pings every 2 s
export const REPLACED = 4001;

export class Connection {
  /** @param handlers onOpen(), onMessage(object), onAudio(ArrayBuffer), onLost(code, waitMs) */
  constructor(handlers) {
    this.handlers = handlers;
    this.waitMs = FIRST_WAIT_MS;
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/talk`);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.handlers.onOpen();
    socket.onmessage = ({ data }) => {
      this.watch();
      if (typeof data !== "string") {
        this.handlers.onAudio(data);
        return;
      }
      const message = JSON.parse(data);
      if (message.type === "ping") {
        this.send({ type: "pong", id: message.id, page_ms: performance.now() });
        return;
      }
      this.waitMs = FIRST_WAIT_MS;
      this.handlers.onMessage(message);
    };
    socket.onclose = ({ code }) => this.lost(socket, code);
    this.watch();
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (this.isOpen) this.socket.send(JSON.stringify(message));
  }

  /** Sends audio unless too much of it waits already; whether it was sent. */
  sendAudio(data, unsentMax) {
    if (!this.isOpen || this.socket.bufferedAmount > unsentMax) return false;
    this.socket.send(data);
    return true;
  }

  /** A connection on which nothing arrives is dead, whatever the browser believes. */
  watch() {
    clearTimeout(this.watchdog);
    const { socket } = this;
    this.watchdog = setTimeout(() => {
      socket.close();
      this.lost(socket, 1006);
    }, SILENT_MS);
  }

  lost(socket, code) {
    if (socket !== this.socket) return;
    this.socket = undefined;
    clearTimeout(this.watchdog);
    const waitMs = this.waitMs * (0.75 + Math.random() / 2);
    this.waitMs = Math.min(LONGEST_WAIT_MS, this.waitMs * 2);
    this.handlers.onLost(code, waitMs);
    if (code !== REPLACED) setTimeout(() => this.open(), waitMs);
  }
}
