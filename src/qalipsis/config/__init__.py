"""What the user configured: qalipsis.yml, the environment and `-c`, as typed settings and as properties."""
