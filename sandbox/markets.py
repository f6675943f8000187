"""The exchanges' markets, made up: their trading rules, and the last traded prices."""

from dataclasses import dataclass

#: What Hummingbot writes where an exchange sets no bound.
_HUGE, _TINY = 1e56, 1e-56


@dataclass(frozen=True)
class Market:
    """One trading pair, on every exchange of the sandbox alike.

    Attributes:
        price: last traded, in the quote asset.
        min_order_size: in the base asset.
        min_notional_size, min_price_increment: in the quote asset.
    """

    price: float
    min_order_size: float
    min_notional_size: float
    min_price_increment: float

    @property
    def rule(self) -> dict[str, object]:
        return {
            "min_order_size": self.min_order_size,
            "max_order_size": _HUGE,
            "min_price_increment": self.min_price_increment,
            "min_base_amount_increment": self.min_order_size,
            "min_quote_amount_increment": _TINY,
            "min_notional_size": self.min_notional_size,
            "min_order_value": 0.0,
            "max_price_significant_digits": _HUGE,
            "supports_limit_orders": True,
            "supports_market_orders": True,
            "buy_order_collateral_token": "USDT",
            "sell_order_collateral_token": "USDT",
        }


MARKETS = {
    "BTC-USDT": Market(64_000.0, 0.00001, 5.0, 0.01),
    "ETH-USDT": Market(3_100.0, 0.0001, 5.0, 0.01),
    "SOL-USDT": Market(140.0, 0.01, 5.0, 0.01),
    "WLD-USDT": Market(0.72, 0.1, 5.0, 0.0001),
    "SHARP-USDT": Market(0.0125, 1.0, 5.0, 0.00001),
    # Listed as they are spelled, and in no other way.
    "kPEPE-USD": Market(0.0093, 1.0, 5.0, 0.000001),
    "sAVAX-AVAX": Market(1.21, 0.01, 0.1, 0.0001),
    "USD.b-XRP": Market(0.41, 0.1, 1.0, 0.0001),
    "$NUT-USDT": Market(0.031, 1.0, 5.0, 0.00001),
    "purr-usdc": Market(0.18, 1.0, 5.0, 0.0001),
}


#: The market of a pair that the sandbox does not know.
_ANY_MARKET = Market(1.0, 1.0, 1.0, 0.0001)


def market_of(trading_pair: str) -> Market:
    return MARKETS.get(trading_pair, _ANY_MARKET)


def trading_rules(trading_pairs: list[str] | None) -> dict[str, dict[str, object]]:
    """Return rules by pair. One that is not listed is no failure: it has an error in place of its rules."""
    if trading_pairs is None:
        return {pair: market.rule for pair, market in MARKETS.items()}
    return {
        pair: MARKETS[pair].rule if pair in MARKETS else {"error": f"Trading pair {pair} not found"}
        for pair in trading_pairs
    }
