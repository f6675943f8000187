"""The spread script."""

from bots.strategies.settings.fields import ORDER_AMOUNT, ORDER_REFRESH_TIME, schema, spread

SCHEMA = schema(
    {
        "bid_spread": spread("Bid spread", "below"),
        "ask_spread": spread("Ask spread", "above"),
        "order_amount": ORDER_AMOUNT,
        "order_refresh_time": ORDER_REFRESH_TIME,
    }
)
