"""What the bot knows beyond its language model: the passages of a folder, found by meaning."""
