"""What everything has that belongs to one market: a connector and a trading pair."""

from hummingbot_api.connectors import AccountType, market_of


def base_of(trading_pair: str) -> str:
    """Return the asset that is bought and sold."""
    return trading_pair.partition("-")[0]


def quote_of(trading_pair: str) -> str:
    """Return the asset in which prices are."""
    return trading_pair.partition("-")[2]


class InMarket:
    """Adds the assets and the kind of account to what has ``connector`` and ``trading_pair``."""

    connector: str
    trading_pair: str

    @property
    def base_asset(self) -> str:
        return base_of(self.trading_pair)

    @property
    def quote_asset(self) -> str:
        return quote_of(self.trading_pair)

    @property
    def account_type(self) -> AccountType:
        return market_of(self.connector).account_type
