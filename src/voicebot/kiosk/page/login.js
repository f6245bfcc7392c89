const REASONS = {
  wrong: "That is not the token.",
  wait: "Too many wrong tokens. Wait a minute.",
  none: "No token is set: see kiosk.token_variable in docs/kiosk.md.",
};

const reason = REASONS[new URLSearchParams(location.search).get("refused")];
if (reason) {
  const line = document.getElementById("reason");
  line.textContent = reason;
  line.hidden = false;
}
