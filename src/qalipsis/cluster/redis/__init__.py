"""The light cluster's transport: streams of Redis, standalone or cluster."""
