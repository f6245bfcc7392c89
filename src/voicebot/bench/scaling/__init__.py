"""How latency grows with a language model's size on this machine, and what that says of others.

``shape_true`` makes a ladder of models whose arithmetic is real and whose words are not,
``measure`` times them, ``power_law`` fits, ``answers`` asks the fit, ``page`` draws it.
"""
