"""What keeps an unattended kiosk going.

``stage_supervisor.py`` replaces an engine that crashed or hangs, ``supervised_stages.py`` puts it
behind the stages of a conversation, ``running.py`` builds them. Watchdogs look after the
microphone, memory, disk and the event loop. What they find are facts (``facts.py``).
"""
