"""What leaves a conversation for those who watch it: a log of turns, metrics, traces.

Off by default. Everything is made of the facts that a session tells (``events.py``); nothing here
slows one down or can end it. Words are left out unless they are asked for.
"""
