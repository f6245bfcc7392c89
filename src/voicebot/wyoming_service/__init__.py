"""voicebot's own recognition and synthesis as Wyoming services, for Home Assistant and others."""
