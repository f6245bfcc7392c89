"""Lets ``python -m voicebot`` do what ``voicebot`` does."""

from voicebot.cli import main

if __name__ == "__main__":
    main()
