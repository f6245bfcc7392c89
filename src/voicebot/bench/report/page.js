"use strict";
(() => {
  const list = document.querySelector(".turns");
  const form = document.querySelector("form.controls");
  const turns = [...list.children];
  for (const element of document.querySelectorAll(".controls")) element.hidden = false;

  const latency = (turn) => ("latency" in turn.dataset ? Number(turn.dataset.latency) : Infinity);
  const number = (turn) => Number(turn.dataset.number);
  const orders = {
    number: (a, b) => number(a) - number(b),
    slowest: (a, b) => (latency(b) === latency(a) ? number(a) - number(b) : latency(b) - latency(a)),
    fastest: (a, b) => (latency(b) === latency(a) ? number(a) - number(b) : latency(a) - latency(b)),
  };

  const update = () => {
    const { kind, order, trouble, shown } = form.elements;
    let count = 0;
    for (const turn of turns) {
      turn.hidden =
        (kind.value !== "" && turn.dataset.kind !== kind.value) ||
        (trouble.checked && turn.dataset.trouble === "");
      if (!turn.hidden) count += 1;
    }
    list.replaceChildren(...[...turns].sort(orders[order.value]));
    shown.value = `${count} of ${turns.length} shown`;
  };
  form.addEventListener("change", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  update();

  const expand = form.elements.expand;
  expand.addEventListener("click", () => {
    const open = expand.dataset.open !== "yes";
    for (const turn of turns) turn.open = open && !turn.hidden;
    expand.dataset.open = open ? "yes" : "no";
    expand.textContent = open ? "Close all" : "Open all shown";
  });

  const reveal = () => {
    const turn = turns.find((each) => `#${each.id}` === location.hash);
    if (!turn) return;
    turn.hidden = false;
    turn.open = true;
    turn.scrollIntoView({ block: "start" });
    turn.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", reveal);
  reveal();

  document.querySelector("button[name=save]").addEventListener("click", () => {
    const text = JSON.stringify(JSON.parse(document.getElementById("run").textContent), null, 1);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = "run.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
})();
