"""Benchmarks of the real engine, each comparing things measured in the same run; see README.md."""
