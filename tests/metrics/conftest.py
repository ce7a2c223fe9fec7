"""Properties are judged by their result: how long one example takes depends on what else the machine does."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
