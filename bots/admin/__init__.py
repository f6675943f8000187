"""Strategies, bots and deployments in the admin. Importing the modules registers them."""

from bots.admin import bots, deployments, emergency_stops, strategies

__all__ = ["bots", "deployments", "emergency_stops", "strategies"]
