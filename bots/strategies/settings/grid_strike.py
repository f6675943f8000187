"""The server's generic/grid_strike controller.

Live: which fields are marked ``is_updatable``, and that they are read when a grid begins, was read in
``bots/controllers/generic/grid_strike.py`` of hummingbot/hummingbot-api. When it is killed its grid is closed without
keeping the position (read in ``GridExecutor.early_stop`` of hummingbot 20260922, and in the script that kills).
"""

from bots.strategies.settings.fields import (
    DAY,
    FRACTION,
    POSITION,
    advanced,
    group,
    integer,
    number,
    or_none,
    schema,
    when,
    yes_or_no,
)

#: Hummingbot's OrderType, as a configuration file writes it.
_LIMIT_TYPES = {"enum": [2, 3], "labels": ["LIMIT", "LIMIT_MAKER"], "default": 3}
_SET = {"exclusiveMinimum": 0}
SCHEMA = schema(
    {
        "side": {
            "type": "integer",
            "title": "Side",
            "description": "Buy: buys on the grid and sells at a higher price. Sell: sells on the grid and buys "
            "back at a lower "
            "price.",
            "enum": [1, 2],
            "labels": ["buy", "sell"],
            "default": 1,
        },
        "start_price": number(
            "Start price", "The bottom of the grid, for either side.", "quote asset", exclusiveMinimum=0
        ),
        "end_price": number("End price", "The top of the grid, for either side.", "quote asset", exclusiveMinimum=0),
        "limit_price": number(
            "Limit price",
            "The whole grid is stopped out at this price: below the start for buy, above the end for sell. 0 for none.",
            "quote asset",
            minimum=0,
        ),
        "total_amount_quote": number(
            "Total amount",
            "The total value of all levels of the grid.",
            "quote asset",
            exclusiveMinimum=0,
            per="all orders",
        ),
        "min_spread_between_orders": number(
            "Minimum level distance",
            "As a fraction of the price: 0.001 is 0.1 %. Wider if the total amount is too small for that many levels.",
            "fraction",
            **FRACTION,
            default=0.001,
        ),
        "max_open_orders": integer(
            "Maximum open orders",
            "The maximum number of orders that wait for a fill at once.",
            "orders",
            minimum=1,
            maximum=100,
            default=2,
        ),
        "triple_barrier_config": group(
            {
                "take_profit": number(
                    "Take profit",
                    "A filled level is closed when it has gained this fraction: 0.001 is 0.1 %.",
                    "fraction",
                    **FRACTION,
                    default=0.001,
                ),
                "open_order_type": {
                    "type": "integer",
                    "title": "Order type",
                    "description": "The order type that opens a level. LIMIT_MAKER never takes liquidity.",
                    **_LIMIT_TYPES,
                },
                "take_profit_order_type": {
                    "type": "integer",
                    "title": "Take profit order type",
                    "description": "The order type that closes a level. LIMIT_MAKER never takes liquidity.",
                    **_LIMIT_TYPES,
                },
            },
            title="Take profit",
            description="The gain at which a filled level is closed, and the order types.",
        )
        | {"default": {"take_profit": 0.001, "open_order_type": 3, "take_profit_order_type": 3}},
        "keep_position": yes_or_no(
            "Keep position",
            "At the limit price, keep the position instead of closing it at market price.",
            default=False,
        ),
        **advanced(
            min_order_amount_quote=number(
                "Minimum order amount",
                "The minimum value of each level. The exchange's own minimum also applies.",
                "quote asset",
                exclusiveMinimum=0,
                default=5,
            ),
            max_orders_per_batch=integer(
                "Orders per batch",
                "The maximum number of orders placed together.",
                "orders",
                minimum=1,
                maximum=100,
                default=1,
            ),
            order_frequency=integer(
                "Order frequency", "The minimum time between two batches.", "seconds", minimum=0, maximum=DAY, default=3
            ),
            activation_bounds=or_none(
                number(
                    "Activation bounds",
                    "Only levels within this distance of the mid price, as a fraction, get orders. Empty: all levels.",
                    "fraction",
                    **FRACTION,
                    default=None,
                )
            ),
        ),
        **POSITION,
    },
    live_except=("side", "triple_barrier_config", *POSITION),
    live_effect="The current grid keeps the settings that it started with. The next grid uses the new ones.",
    pause_effect="Its open orders are cancelled. The grid's position is closed at market price, even if “Keep "
    "position” is on.",
    increasing=["start_price", "end_price"],
    # The server's check accepts these anyway, and the resulting bot never trades: see the proof.
    allOf=[
        when({"side": {"const": 1}, "limit_price": _SET}, {"increasing": ["limit_price", "start_price"]}),
        when({"side": {"const": 2}, "limit_price": _SET}, {"increasing": ["end_price", "limit_price"]}),
    ],
)
