"""The server's generic/pmm_v1 controller.

Live: all fields that are settings here are marked ``is_updatable`` (read in ``controllers/generic/pmm_v1.py`` of
hummingbot/hummingbot). When it is killed its order executors cancel their orders and keep what was filled (read in
``OrderExecutor.early_stop`` of hummingbot 20260922).
"""

from bots.strategies.settings.fields import (
    DAY,
    ORDER_AMOUNT,
    ORDER_REFRESH_TIME,
    advanced,
    integer,
    number,
    schema,
    spreads,
    when,
    yes_or_no,
)

_SET = {"exclusiveMinimum": 0}
SCHEMA = schema(
    {
        "buy_spreads": spreads("Buy spreads", "below"),
        "sell_spreads": spreads("Sell spreads", "above"),
        "order_amount": ORDER_AMOUNT,
        "order_refresh_time": ORDER_REFRESH_TIME,
        **advanced(
            order_refresh_tolerance_pct=number(
                "Refresh tolerance",
                "Orders whose price would change by less than this fraction are kept. -1 always replaces them.",
                "fraction",
                minimum=-1,
                named={"all orders are replaced": -1},
                exclusiveMaximum=1,
                default=-1,
            ),
            filled_order_delay=integer(
                "Delay after a fill",
                "How long a level stays empty after its order is filled.",
                "seconds",
                minimum=0,
                maximum=DAY,
                default=60,
            ),
            inventory_skew_enabled=yes_or_no(
                "Inventory skew",
                "Adjusts order sizes, from zero to double, toward the target share of the base asset.",
                default=False,
            ),
            target_base_pct=number(
                "Target share of the base asset",
                "With inventory skew: the base asset's target share of the total value. 0.5 is half.",
                "fraction",
                minimum=0,
                maximum=1,
                default=0.5,
            ),
            inventory_range_multiplier=number(
                "Inventory range",
                "With inventory skew: the distance from the target at which sizes reach zero and double, in multiples "
                "of all orders together.",
                "times all orders",
                exclusiveMinimum=0,
                maximum=1000,
                default=1,
            ),
            price_ceiling=number(
                "Price ceiling",
                "At or above this mid price, it places no buy orders. -1 for none.",
                "quote asset",
                minimum=-1,
                default=-1,
                named={"off": -1},
            ),
            price_floor=number(
                "Price floor",
                "At or below this mid price, it places no sell orders. -1 for none.",
                "quote asset",
                minimum=-1,
                default=-1,
                named={"off": -1},
            ),
        ),
    },
    live_except=(),
    live_effect="Its orders use the new settings when they are replaced at the next refresh.",
    pause_effect="Its open orders are cancelled. Filled amounts are kept.",
    # Between a floor and a ceiling below it neither side would be quoted: see the proof.
    **when({"price_floor": _SET, "price_ceiling": _SET}, {"increasing": ["price_floor", "price_ceiling"]}),
)
