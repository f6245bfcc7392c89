"""Text on its way from the language model to the voice, and back for comparison."""
