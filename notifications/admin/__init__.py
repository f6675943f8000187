"""Incidents and channels in the admin. Importing the modules registers them."""

from notifications.admin import channels, incidents

__all__ = ["channels", "incidents"]
