// What both sides say, with the spoken word marked.

const LONG_CHARACTERS = 150;
const KEPT = 3;

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

class Exchange {
  constructor(list, labels) {
    this.root = element("article", "exchange");
    this.you = element("p", "you");
    this.youLabel = element("span", "visually-hidden", labels.you);
    this.youText = element("span", "words");
    this.you.append(this.youLabel, this.youText);
    this.bot = element("p", "bot");
    this.botLabel = element("span", "visually-hidden", labels.bot);
    this.botText = element("span", "words");
    this.bot.append(this.botLabel, this.botText);
    this.you.hidden = true;
    this.bot.hidden = true;
    this.words = [];
    this.heard = 0;
    this.root.append(this.you, this.bot);
    list.append(this.root);
  }

  setYou(text, isFinal) {
    this.you.hidden = text === "";
    this.youText.textContent = text;
    this.you.classList.toggle("is-partial", !isFinal);
  }

  setBot(text) {
    this.bot.hidden = text === "";
    this.root.classList.toggle("is-long", text.length > LONG_CHARACTERS);
    const words = text.split(/\s+/u).filter(Boolean);
    // Words that stay keep their element, so that nothing flickers.
    let same = 0;
    while (same < this.words.length && this.words[same].textContent === words[same]) same += 1;
    this.botText.replaceChildren(
      ...[...this.botText.childNodes].slice(0, same * 2),
      ...words.slice(same).flatMap((word) => [element("span", "word", word), " "]),
    );
    this.words = [...this.botText.querySelectorAll(".word")];
    this.mark();
  }

  setHeard(count) {
    this.heard = count;
    this.mark();
  }

  mark() {
    const isOver = this.root.classList.contains("is-over");
    this.words.forEach((word, index) => {
      word.classList.toggle("is-said", index < this.heard);
      word.classList.toggle("is-now", index === this.heard && !isOver);
    });
    this.words[Math.min(this.heard, this.words.length - 1)]?.scrollIntoView({ block: "nearest" });
  }

  close(wasCut) {
    this.root.classList.add("is-over");
    this.root.classList.toggle("is-cut", wasCut);
    this.mark();
  }
}

export class Captions {
  /** @param readOut takes what was said once it is certain, for screen readers. */
  constructor(list, readOut) {
    this.list = list;
    this.readOut = readOut;
    this.turns = new Map();
    this.labels = { you: "", bot: "" };
  }

  exchange(turn) {
    let one = this.turns.get(turn);
    if (!one) {
      one = new Exchange(this.list, this.labels);
      this.turns.set(turn, one);
      while (this.turns.size > KEPT) {
        const [oldest] = this.turns.keys();
        this.remove(oldest);
      }
      this.list.scrollTop = this.list.scrollHeight;
    }
    return one;
  }

  remove(turn) {
    this.turns.get(turn)?.root.remove();
    this.turns.delete(turn);
  }

  you({ turn, text, is_final: isFinal }) {
    if (text || this.turns.has(turn)) this.exchange(turn).setYou(text, isFinal);
  }

  bot({ turn, text }) {
    this.exchange(turn).setBot(text);
    this.list.scrollTop = this.list.scrollHeight;
  }

  heard({ turn, words }) {
    this.turns.get(turn)?.setHeard(words);
  }

  over({ turn, outcome, was_cut: wasCut }) {
    const one = this.turns.get(turn);
    if (outcome !== "answered") {
      this.remove(turn);
    } else if (one) {
      one.close(wasCut);
      this.read(one);
    }
  }

  /** Words that still change are read by nobody; the bot's are read once they have been heard. */
  read(one) {
    for (const line of [one.you, one.bot]) {
      if (!line.hidden) this.readOut.append(element("p", "", line.textContent));
    }
    while (this.readOut.childElementCount > KEPT * 2) this.readOut.firstElementChild.remove();
  }

  /** The conversation so far, in place of whatever is shown. */
  reset(exchanges) {
    for (const turn of [...this.turns.keys()]) this.remove(turn);
    this.list.replaceChildren();
    this.readOut.replaceChildren();
    exchanges.slice(-KEPT).forEach(([you, bot], index) => {
      const one = this.exchange(`before-${index}`);
      one.setYou(you, true);
      one.setBot(bot);
      one.setHeard(Infinity);
      one.close(false);
    });
  }
}
