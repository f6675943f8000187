"""Trades and obligations in the admin. Importing the modules registers them."""

from markets.admin import obligations, trades

__all__ = ["obligations", "trades"]
