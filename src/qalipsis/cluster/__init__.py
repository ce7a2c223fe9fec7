"""What head and factories say to each other, and what carries it."""
