"""The exchange of a living sandbox: its prices, the orders that fill there, the wallets, and what bots report."""
