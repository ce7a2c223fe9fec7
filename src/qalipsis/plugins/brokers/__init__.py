"""What the plugins of message brokers share."""
