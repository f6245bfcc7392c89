"""Model files: the table that names them, and how they are fetched, checked and kept.

``registry`` is the table; ``store`` is the one object the rest of the program talks to. Behind it
stand ``wheels`` and ``hub`` (the two kinds of source), ``formats`` (only files that cannot carry
code), ``verify`` (checksums and stamps) and ``lock`` (what the first download from a hub gave).
"""
