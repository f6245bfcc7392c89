// The page: what was touched, what the server says, what is shown.

import { Loudspeaker, Microphone } from "./audio.js";
import { Captions } from "./captions.js";
import { Connection, REPLACED } from "./connection.js";
import { Figure } from "./figure.js";
import { LatencyView } from "./latency.js";
import { WORDING } from "./wording.js";

const VERSION = 1;
const EXAMPLE_EVERY_MS = 6000;
const EXAMPLE_FADE_MS = 500;
const NOTICE_MS = 7000;
const VISIT_KEY = "voicebot.visit";
const VOLUME_KEY = "voicebot.volume";

const root = document.documentElement;
const at = (id) => document.getElementById(id);

class Kiosk {
  constructor() {
    this.hello = null;
    this.seat = "free";
    this.state = "starting";
    this.words = WORDING.en;
    this.isOpening = false;
    this.example = 0;
    this.captions = new Captions(at("captions"), at("read-out"));
    this.latency = new LatencyView(at("latency"));
    this.connection = new Connection({
      onOpen: () => this.opened(),
      onMessage: (message) => this.take(message),
      onAudio: (data) => this.loudspeaker?.play(data),
      onLost: (code) => this.lost(code),
    });
    this.figure = new Figure(at("figure"), (state) => this.level(state));
    this.listen();
    this.setVolume(Number(localStorage.getItem(VOLUME_KEY) ?? 100));
    this.setLanguage("en");
    this.connection.open();
    setInterval(() => this.nextExample(), EXAMPLE_EVERY_MS);
  }

  listen() {
    const talk = at("talk");
    talk.addEventListener("click", () => this.touched());
    at("invitation").addEventListener("click", () => this.touched());
    for (const held of [talk, at("invitation")]) {
      held.addEventListener("pointerdown", () => this.hold(true));
      for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
        held.addEventListener(name, () => this.hold(false));
      }
    }
    talk.addEventListener("contextmenu", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => this.pressed(event));
    document.addEventListener("keyup", ({ code }) => code === "Space" && this.hold(false));
    document.addEventListener("pointerdown", () => this.loudspeaker?.context?.resume());
    at("volume").addEventListener("input", ({ target }) => this.setVolume(Number(target.value)));
  }

  pressed(event) {
    const control = event.target.closest?.("button, input, [tabindex='0']");
    const isOther = control && !(this.holds && control.id === "talk");
    if (event.code !== "Space" || isOther) return;
    event.preventDefault();
    if (event.repeat) return;
    this.hold(true);
    this.touched();
  }

  get holds() {
    return this.hello?.touch === "hold";
  }

  get isBrowser() {
    return this.hello?.audio === "browser";
  }

  get isLost() {
    return root.dataset.connection === "lost";
  }

  get isTalking() {
    return this.seat === "yours";
  }

  level(state) {
    if (state === "speaking") return this.loudspeaker?.level ?? 0;
    if (state === "listening") return this.microphone?.level ?? 0;
    return 0;
  }

  // What was touched.

  touched() {
    if (this.holds) return;
    if (!this.isTalking) this.begin();
    else this.connection.send({ type: "end" });
  }

  hold(isHeld) {
    if (!this.holds) return;
    this.isHeld = isHeld;
    if (isHeld && !this.isTalking) this.begin();
    this.microphone?.mute(!isHeld);
  }

  /** Opens microphone and loudspeaker, and asks for the seat. */
  async begin() {
    if (this.isOpening || this.seat === "taken" || !this.hello?.playback_rate_hz) return;
    if (!this.isBrowser) {
      this.connection.send({ type: "begin" });
      return;
    }
    this.isOpening = true;
    try {
      await this.openAudio();
      this.microphone.startCount();
      this.connection.send({
        type: "begin",
        rate_hz: this.microphone.rateHz,
        input_latency_ms: this.microphone.inputLatencyMs,
      });
      this.isSending = true;
      if (this.loudspeaker.isBlocked) this.say(this.words.blocked);
      if (this.holds) this.microphone.mute(!this.isHeld);
    } catch (error) {
      await this.closeAudio();
      const isRefused = error.name === "NotAllowedError";
      this.say(isRefused ? this.words.refused : this.words.noMicrophone, { isAlert: true });
    } finally {
      this.isOpening = false;
    }
  }

  async openAudio() {
    const rateHz = this.hello.playback_rate_hz;
    if (this.loudspeaker && this.loudspeaker.rateHz !== rateHz) await this.closeLoudspeaker();
    if (!this.loudspeaker) {
      const loudspeaker = new Loudspeaker((message) => this.connection.send(message));
      loudspeaker.volume = this.volume;
      await loudspeaker.open(rateHz);
      this.loudspeaker = loudspeaker;
    }
    if (!this.microphone) {
      const microphone = new Microphone(
        (data, most) => this.isSending && this.connection.sendAudio(data, most),
      );
      await microphone.open();
      this.microphone = microphone;
    }
    this.wakeLock ??= await navigator.wakeLock?.request("screen").catch(() => undefined);
  }

  async closeLoudspeaker() {
    const { loudspeaker } = this;
    this.loudspeaker = undefined;
    await loudspeaker?.close();
  }

  async closeAudio() {
    const { microphone, wakeLock } = this;
    this.microphone = undefined;
    this.wakeLock = undefined;
    this.isSending = false;
    await Promise.allSettled([microphone?.close(), wakeLock?.release(), this.closeLoudspeaker()]);
  }

  setVolume(percent) {
    this.volume = (percent / 100) ** 2;
    at("volume").value = percent;
    localStorage.setItem(VOLUME_KEY, percent);
    this.loudspeaker?.setVolume(this.volume);
  }

  // What the server says.

  opened() {
    const visit = sessionStorage.getItem(VISIT_KEY) ?? "";
    this.connection.send({ type: "join", version: VERSION, visit });
  }

  lost(code) {
    root.dataset.connection = "lost";
    this.isSending = false;
    this.show();
    this.say(code === REPLACED ? this.words.replaced : this.words.lost, { stays: true });
    if (code === REPLACED) this.closeAudio();
  }

  take(message) {
    switch (message.type) {
      case "hello":
        this.welcome(message);
        break;
      case "state":
        this.enter(message.state);
        break;
      case "seat":
        this.sit(message);
        break;
      case "you":
        this.captions.you(message);
        break;
      case "bot":
        this.captions.bot(message);
        break;
      case "heard":
        this.captions.heard(message);
        break;
      case "over":
        this.captions.over(message);
        break;
      case "captions":
        this.captions.reset(message.exchanges);
        break;
      case "latency":
        this.latency.show(message);
        break;
      case "notice":
        this.say(this.words.notices[message.notice]);
        break;
      case "clear":
        this.loudspeaker?.clear(message.sequence, message.frame);
        break;
      case "volume":
        this.setVolume(message.percent);
        break;
      default:
    }
  }

  welcome(hello) {
    const wasLost = this.isLost;
    this.hello = hello;
    root.dataset.connection = "open";
    root.dataset.theme = hello.theme;
    if (wasLost) this.hush();
    this.setLanguage(hello.language);
    this.offerLanguages();
    this.beginUnasked();
  }

  /** Where speech begins a conversation, the microphone is on without a touch. */
  beginUnasked() {
    if (this.hello?.start === "speech" && this.seat === "free") this.begin();
  }

  sit({ seat, visit }) {
    const wasYours = this.seat === "yours";
    this.seat = seat;
    root.dataset.seat = seat;
    if (seat === "yours") {
      sessionStorage.setItem(VISIT_KEY, visit);
      // After a reload or a lost connection the seat is ours, and nothing is sent yet.
      if (!this.isSending) this.begin();
    } else {
      sessionStorage.removeItem(VISIT_KEY);
      if (wasYours) this.closeAudio().then(() => this.beginUnasked());
      else this.beginUnasked();
    }
    this.show();
  }

  enter(state) {
    this.state = state;
    root.dataset.state = state;
    this.figure.set(state);
    this.show();
  }

  // What is shown.

  show() {
    const { words, state, seat } = this;
    const isIdle = state === "inviting" || state === "starting";
    root.toggleAttribute("data-talking", !isIdle);
    const shownState = this.isLost ? words.starting : words[state];
    at("state").textContent = seat === "taken" ? words.taken : shownState;
    at("talk-label").textContent = this.talkLabel(isIdle);
    at("talk").setAttribute("aria-pressed", String(this.isTalking));
  }

  talkLabel(isIdle) {
    const { words } = this;
    if (this.isLost || this.state === "starting" || this.seat === "taken") return "";
    if (!isIdle) return this.holds ? words.hold : words.done;
    if (this.hello?.start === "speech") return words.speak;
    return words.touch;
  }

  setLanguage(code) {
    const words = WORDING[code] ?? WORDING.en;
    this.words = words;
    root.lang = code in WORDING ? code : "en";
    this.captions.labels = { you: words.you, bot: words.bot };
    this.latency.setWords(words.parts);
    at("title").textContent = this.hello?.title || words.title;
    at("example-lead").textContent = words.example;
    for (const id of ["captions", "read-out"]) {
      at(id).setAttribute("aria-label", words.conversation);
    }
    at("languages").setAttribute("aria-label", words.language);
    at("volume-label").textContent = words.volume;
    at("latency-name").textContent = words.latency;
    at("latency-after").textContent = words.after;
    at("latency-target").textContent = words.target;
    at("latency-half").textContent = words.half;
    at("latency-most").textContent = words.most;
    this.example = 0;
    this.showExample();
    this.show();
  }

  offerLanguages() {
    const { languages, language } = this.hello;
    const shown = languages.length > 1 ? languages : [];
    at("languages").replaceChildren(
      ...shown.map((code) => {
        const button = document.createElement("button");
        button.type = "button";
        button.lang = code;
        button.textContent = code.toUpperCase();
        button.setAttribute("aria-label", WORDING[code]?.name ?? code);
        button.setAttribute("aria-pressed", String(code === language));
        button.addEventListener("click", () => this.connection.send({ type: "language", code }));
        return button;
      }),
    );
  }

  nextExample() {
    if (this.state !== "inviting") return;
    const paragraph = at("example").parentElement;
    paragraph.classList.add("is-changing");
    setTimeout(() => {
      this.example += 1;
      this.showExample();
      paragraph.classList.remove("is-changing");
    }, EXAMPLE_FADE_MS);
  }

  showExample() {
    const examples = this.hello?.examples.length ? this.hello.examples : this.words.examples;
    at("example").textContent = ` ${examples[this.example % examples.length]}`;
  }

  say(text, { stays = false, isAlert = false } = {}) {
    const notice = at("notice");
    clearTimeout(this.noticeTimer);
    notice.textContent = text;
    notice.hidden = !text;
    notice.classList.toggle("is-alert", isAlert);
    if (!stays) this.noticeTimer = setTimeout(() => this.hush(), NOTICE_MS);
  }

  hush() {
    at("notice").hidden = true;
  }

  /** For tests and the curious: what the page knows of itself. */
  get facts() {
    return {
      state: this.state,
      seat: this.seat,
      heardSamples: this.loudspeaker?.heardSamples ?? 0,
      sentFrames: this.microphone?.sequence ?? 0,
      captureRateHz: this.microphone?.rateHz ?? 0,
      playbackRateHz: this.loudspeaker?.rateHz ?? 0,
    };
  }
}

window.kiosk = new Kiosk();
