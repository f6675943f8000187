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
            "description": "Buy: buys on the grid and sells higher. Sell: sells on the grid and buys back lower.",
            "enum": [1, 2],
            "labels": ["buy", "sell"],
            "default": 1,
        },
        "start_price": number(
            "Start price", "The bottom of the grid, for both sides.", "quote asset", exclusiveMinimum=0
        ),
        "end_price": number("End price", "The top of the grid, for both sides.", "quote asset", exclusiveMinimum=0),
        "limit_price": number(
            "Limit price",
            "The whole grid is stopped out here: below the start if it buys, above the end if it sells. 0 for none.",
            "quote asset",
            minimum=0,
        ),
        "total_amount_quote": number(
            "Total amount",
            "What all levels of the grid are worth together.",
            "quote asset",
            exclusiveMinimum=0,
            per="all orders",
        ),
        "min_spread_between_orders": number(
            "Least distance of levels",
            "As a fraction of the price: 0.001 is 0.1 %. Wider when the total amount does not suffice for so many.",
            "fraction",
            **FRACTION,
            default=0.001,
        ),
        "max_open_orders": integer(
            "Open orders", "At most this many wait for a fill at once.", "orders", minimum=1, maximum=100, default=2
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
                    "description": "Of what opens a level: LIMIT_MAKER never takes.",
                    **_LIMIT_TYPES,
                },
                "take_profit_order_type": {
                    "type": "integer",
                    "title": "Take profit order type",
                    "description": "Of what closes a level: LIMIT_MAKER never takes.",
                    **_LIMIT_TYPES,
                },
            },
            title="Take profit",
            description="What a filled level gains before it is closed, and the types of the orders.",
        )
        | {"default": {"take_profit": 0.001, "open_order_type": 3, "take_profit_order_type": 3}},
        "keep_position": yes_or_no(
            "Keep the position",
            "At the limit price: keep what was filled instead of closing it at market price.",
            default=False,
        ),
        **advanced(
            min_order_amount_quote=number(
                "Smallest order amount",
                "No level is worth less. The exchange's own least amount counts too.",
                "quote asset",
                exclusiveMinimum=0,
                default=5,
            ),
            max_orders_per_batch=integer(
                "Orders at once", "At most this many are placed together.", "orders", minimum=1, maximum=100, default=1
            ),
            order_frequency=integer(
                "Order frequency", "The least time between two batches.", "seconds", minimum=0, maximum=DAY, default=3
            ),
            activation_bounds=or_none(
                number(
                    "Activation bounds",
                    "Only levels this near the mid price, as a fraction of it, get orders. Empty: all.",
                    "fraction",
                    **FRACTION,
                    default=None,
                )
            ),
        ),
        **POSITION,
    },
    live_except=("side", "triple_barrier_config", *POSITION),
    live_effect="The grid that stands goes on with the settings that it began with; the next grid has the new ones.",
    pause_effect="Its open orders are cancelled, and what the grid holds is closed at market price, even if it is to "
    "keep the position.",
    increasing=["start_price", "end_price"],
    # The server's check takes these all the same, and the bot that comes of it never trades: see the proof.
    allOf=[
        when({"side": {"const": 1}, "limit_price": _SET}, {"increasing": ["limit_price", "start_price"]}),
        when({"side": {"const": 2}, "limit_price": _SET}, {"increasing": ["end_price", "limit_price"]}),
    ],
)
