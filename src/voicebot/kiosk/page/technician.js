// The technician's view: asks for the state of things every two seconds.

const EVERY_MS = 2000;
const RESTART_MS = 4000;
const at = (id) => document.getElementById(id);

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function rows(id, entries) {
  at(id).replaceChildren(
    ...entries.map(([name, value, isBad = false]) => {
      const row = document.createElement("div");
      row.append(element("dt", name), element("dd", value ?? "–", isBad ? "is-bad" : ""));
      return row;
    }),
  );
}

function figures(latency) {
  const entries = [
    ["answers measured", latency.turns, ""],
    ["median", latency.p50_ms, "ms"],
    ["95th percentile", latency.p95_ms, "ms"],
    ["median, heard in the page", latency.page_p50_ms, "ms"],
    ["95th percentile, heard in the page", latency.page_p95_ms, "ms"],
  ];
  at("figures").replaceChildren(
    ...entries.map(([name, value, unit]) => {
      const figure = document.createElement("div");
      const number = element("b", value === null ? "–" : Math.round(value));
      number.append(" ", element("i", value === null ? "" : unit));
      figure.append(number, element("span", name));
      return figure;
    }),
  );
}

function duration(seconds) {
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor((seconds % 86400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  return days ? `${days} d ${hours} h` : `${hours} h ${minutes} min`;
}

function audioRows(audio) {
  if (audio.path === "sound card") {
    return [
      ["path", audio.path],
      ["microphone", audio.microphone],
      ["loudspeaker", audio.loudspeaker],
    ];
  }
  return [
    ["path", audio.path],
    ["microphone", audio.microphone],
    ["way to the page", audio.half_trip_ms === null ? "–" : `${audio.half_trip_ms} ms`],
    ["lead of the playback", audio.lead_ms === null ? "–" : `${audio.lead_ms} ms`],
    ["utterances that came late", audio.late_utterances, audio.late_utterances > 0],
    ["silenced late", audio.late_clears, audio.late_clears > 0],
    ["underruns", audio.underruns, audio.underruns > 0],
    ["audio lost on the way", `${audio.lost_ms} ms`, audio.lost_ms > 0],
  ];
}

function show(status) {
  at("summary").textContent =
    `${status.state}, for ${duration(status.uptime_s)}; voicebot ${status.version}, ` +
    `profile ${status.profile.name} (${status.profile.reason}), language ${status.language}`;
  figures(status.latency);
  rows("turns", [
    ["visits", status.visits],
    ...Object.entries(status.turns),
    ["failures of a stage", status.stage_failures, status.stage_failures > 0],
    ["pages open", status.pages.open],
    ["pages dropped", status.pages.dropped],
  ]);
  rows("audio", audioRows(status.audio));
  rows(
    "models",
    status.models.map(({ stage, engine, model }) => [stage, `${model} (${engine})`]),
  );
  const { machine } = status;
  rows("machine", [
    ["memory of voicebot", `${machine.memory_mib} MiB`],
    ["memory free", `${machine.memory_free_mib} MiB`],
    ["processor", `${machine.cpu_percent} %`],
    ["disk free", `${machine.disk_free_gib} GiB`, machine.disk_free_gib < 1],
  ]);
  at("log-empty").hidden = status.log.length > 0;
  at("log").replaceChildren(
    ...status.log.toReversed().map((line) => {
      const row = document.createElement("tr");
      const time = element("td", new Date(line.at).toLocaleTimeString("en-GB"));
      time.title = line.at;
      const isBad = line.level === "error" || line.level === "critical";
      row.append(time, element("td", line.level, isBad ? "is-bad" : ""), element("td", line.text));
      return row;
    }),
  );
}

async function refresh() {
  try {
    const response = await fetch("/api/status");
    if (response.status === 401) {
      location.reload();
      return;
    }
    show(await response.json());
  } catch {
    at("summary").textContent = "The kiosk does not answer.";
  }
}

at("restart").addEventListener("click", async ({ target }) => {
  target.disabled = true;
  await fetch("/api/restart", { method: "POST" }).catch(() => undefined);
  setTimeout(() => {
    target.disabled = false;
  }, RESTART_MS);
});

refresh();
setInterval(refresh, EVERY_MS);
