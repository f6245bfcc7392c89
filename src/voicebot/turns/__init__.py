"""Turn-taking: voice activity, turn completeness, and the endpointer that decides on them."""
