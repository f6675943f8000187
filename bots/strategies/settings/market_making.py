"""The server's market_making controllers: pmm_simple, and pmm_dynamic, which heeds volatility and trend.

Live: which fields are marked ``is_updatable`` was read in ``MarketMakingControllerConfigBase`` of hummingbot 20260922,
and for pmm_dynamic's own in ``controllers/market_making/pmm_dynamic.py`` of hummingbot/hummingbot. When they are killed
their position executors close what was filled (read in ``PositionExecutor.early_stop`` of the package).
"""

from bots.strategies.settings.fields import (
    DAY,
    FRACTION,
    POSITION,
    Schema,
    advanced,
    integer,
    number,
    numbers,
    or_none,
    schema,
    spreads,
    text,
    yes_or_no,
)


def _volatility_spreads(title: str, side: str) -> Schema:
    help_text = (
        f"One order per value. Each value is its distance {side} the reference price, in multiples of the volatility "
        "(NATR): 1, 2, 4."
    )
    return numbers(title, help_text, "times volatility", below=100, minItems=1, counts="orders", default=[1, 2, 4])


def _contributions(side: str) -> Schema:
    help_text = (
        f"One weight per {side} spread. 1, 2 makes the second order twice as large as the first. Empty: equal sizes."
    )
    weights = numbers(
        f"{side.capitalize()} amounts",
        help_text,
        "shares",
        below=1e6,
        minItems=1,
        weights=f"{side}_spreads",
        default=None,
    )
    return or_none(weights)


def _market_making(buy_spreads: Schema, sell_spreads: Schema) -> dict[str, Schema]:
    return {
        "total_amount_quote": number(
            "Total amount",
            "The total value of all orders on both sides.",
            "quote asset",
            exclusiveMinimum=0,
            per="all orders",
        ),
        "buy_spreads": buy_spreads,
        "sell_spreads": sell_spreads,
        "executor_refresh_time": integer(
            "Refresh time",
            "How long an unfilled order stays open before it is replaced.",
            "seconds",
            minimum=1,
            maximum=DAY,
            default=300,
        ),
        "stop_loss": or_none(
            number(
                "Stop loss",
                "Closes a filled order at market price when it has lost this fraction: 0.03 is 3 %. Empty: never.",
                "fraction",
                **FRACTION,
                default=0.03,
            )
        ),
        "take_profit": or_none(
            number(
                "Take profit",
                "Closes a filled order when it has gained this fraction: 0.02 is 2 %. Empty: never.",
                "fraction",
                **FRACTION,
                default=0.02,
            )
        ),
        "time_limit": or_none(
            integer(
                "Time limit",
                "Closes a filled order at market price after this time. Empty: never.",
                "seconds",
                minimum=1,
                maximum=365 * DAY,
                default=2700,
            )
        ),
        "skip_rebalance": yes_or_no(
            "Skip rebalancing",
            "If off, on a spot market, the bot first buys what its sell orders need at market price, even if the "
            "account already holds it.",
            default=True,
        ),
        **advanced(
            buy_amounts_pct=_contributions("buy"),
            sell_amounts_pct=_contributions("sell"),
            cooldown_time=integer(
                "Cooldown time",
                "How long a level stays empty after its stop loss.",
                "seconds",
                minimum=0,
                maximum=DAY,
                default=15,
            ),
            take_profit_order_type=text(
                "Take profit order type",
                "LIMIT waits at the price. LIMIT_MAKER also waits, and never takes liquidity. MARKET closes when "
                "the price is reached.",
                enum=["LIMIT", "LIMIT_MAKER", "MARKET"],
                default="LIMIT",
            ),
            position_rebalance_threshold_pct=number(
                "Rebalance threshold",
                "With rebalancing: the allowed deviation of the inventory from what the sell orders need, as a "
                "fraction.",
                "fraction",
                minimum=0,
                maximum=1,
                default=0.05,
            ),
        ),
        **POSITION,
    }


def _period(title: str, help_text: str, default: int) -> Schema:
    return integer(title, help_text, "candles", minimum=2, maximum=500, default=default)


_FIXED = ("skip_rebalance", *POSITION)
_EFFECTS = {
    "live_effect": "New orders use the new settings. A filled order keeps the stop loss, take profit and time limit "
    "that it started with.",
    "pause_effect": "Its open orders are cancelled, and filled orders are closed at market price.",
}
_CANDLES = advanced(
    candles_connector=text(
        "Candles: exchange",
        "Empty: the bot's own exchange. Required if that has no candles, as with paper trade.",
        pattern="^[a-z0-9_]*$",
        default="",
    ),
    candles_trading_pair=text(
        "Candles: trading pair",
        "Empty: the bot's own pair.",
        pattern="^([A-Z0-9.:]+-[A-Z0-9.:]+)?$",
        default="",
    ),
    interval=text(
        "Candles: interval",
        "The period of one candle.",
        enum=["1m", "3m", "5m", "15m", "30m", "1h", "4h", "1d"],
        default="3m",
    ),
    natr_length=_period("NATR length", "The number of candles over which volatility is measured.", 14),
    macd_fast=_period("MACD fast", "The period of the trend's fast average.", 21),
    macd_slow=_period("MACD slow", "The period of the trend's slow average. It must be longer than the fast one.", 42),
    macd_signal=_period("MACD signal", "The average of the difference between the two.", 9),
)
PMM_SIMPLE = schema(
    _market_making(spreads("Buy spreads", "below"), spreads("Sell spreads", "above")), live_except=_FIXED, **_EFFECTS
)
PMM_DYNAMIC = schema(
    _market_making(_volatility_spreads("Buy spreads", "below"), _volatility_spreads("Sell spreads", "above"))
    | _CANDLES,
    live_except=(*_FIXED, *_CANDLES),
    **_EFFECTS,
    # The server accepts others anyway, and the resulting bot never quotes: see the proof.
    increasing=["macd_fast", "macd_slow"],
)
