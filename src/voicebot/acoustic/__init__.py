"""Voice-to-voice at the sound card: callers speak into a room, both sides are recorded."""
