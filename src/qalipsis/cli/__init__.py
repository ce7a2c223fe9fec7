"""Arguments to command."""
