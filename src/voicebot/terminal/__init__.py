"""The conversation on a terminal: a live view with keys, or plain lines."""
