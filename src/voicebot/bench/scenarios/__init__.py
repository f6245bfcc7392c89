"""Scenarios: who calls, what they say and when, and what sounds around them, in a readable file.

``schema`` reads a file, ``sounds`` and ``rooms`` make what is mixed (pure), ``render`` turns all of
it into callers. The library lies in ``library/``, one TOML file a scenario.
"""
