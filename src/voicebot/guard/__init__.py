"""What the bot will not say or do, checked before the model is asked and before it is spoken."""
