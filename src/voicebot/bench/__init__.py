"""Measuring the bot: callers speak, each turn is timed, and a run is written and shown.

A run goes ``record`` (what it is) → ``statistics`` and ``summary`` (its figures) → ``table`` (on a
terminal) and ``report`` (as a page). Several ``variants`` go through ``alternation`` into a
``comparison``, points of eagerness into a ``sweep``. ``docs/measuring.md`` says what each figure
means.
"""

__all__: list[str] = []
