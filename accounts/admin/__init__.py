"""Servers, clients and exchange keys in the admin. Importing the modules registers them."""

from accounts.admin import clients, exchange_keys, servers

__all__ = ["clients", "exchange_keys", "servers"]
