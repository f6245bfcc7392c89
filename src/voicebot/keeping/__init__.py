"""What is kept of a conversation, if it is asked for: the transcript, and a recording."""
