"""The kiosk: a page that talks, its server, and the browser as microphone and loudspeaker."""
