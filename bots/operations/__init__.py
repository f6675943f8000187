"""What the panel does with bots: the kinds of operations. Importing them registers them."""

from bots.operations import checks, deploy, live, rotate_key, start_stop

__all__ = ["checks", "deploy", "live", "rotate_key", "start_stop"]
