"""Prices walk, and are a function of the pair and the second alone."""

import random

import pytest

from sandbox.living_market.prices import BLOCK, WIDEST, Walk
from sandbox.markets import MARKETS

START = 1_800_000_000
DAY = 86_400


def test_a_price_is_the_same_whatever_was_asked_before():
    seconds = [START + 977 * number for number in range(200)]
    forward, shuffled = Walk("SHARP-USDT"), Walk("SHARP-USDT")
    expected = {second: forward.ticks(second) for second in seconds}
    random.shuffle(seconds)
    assert {second: shuffled.ticks(second) for second in seconds} == expected


def test_prices_are_the_same_in_every_process():
    assert [Walk("SHARP-USDT").ticks(START + 600 * number) for number in range(6)] == EXPECTED


#: A change of these is a change of every recorded run.
EXPECTED = [1249, 1258, 1246, 1254, 1249, 1248]


@pytest.mark.parametrize("pair", MARKETS)
def test_prices_stay_within_three_percent_on_whole_increments(pair):
    walk, market = Walk(pair), MARKETS[pair]
    reference = market.price / market.min_price_increment
    prices = walk.during(START, START + 2 * DAY)
    assert round(WIDEST, 9) <= 0.03
    assert all(abs(ticks / reference - 1) <= WIDEST + 1 / reference for ticks in prices)
    assert max(prices) > min(prices) * 1.01


@pytest.mark.parametrize("pair", ["SHARP-USDT", "BTC-USDT", "WLD-USDT"])
def test_a_spread_of_a_third_percent_fills_every_minute_or_two(pair):
    walk, fills = Walk(pair), 0
    for second in range(START, START + DAY, 61):
        mid = walk.ticks(second)
        fills += walk.first_crossing("BUY", int(mid * 0.997), second + 1, second + 60) is not None
        fills += walk.first_crossing("SELL", int(mid * 1.003) + 1, second + 1, second + 60) is not None
    assert 0.5 < fills / (DAY / 60) < 1.2


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_the_first_crossing_is_the_first_second_at_or_beyond_the_price(side):
    walk = Walk("BTC-USDT")
    start = START // BLOCK * BLOCK + BLOCK - 50  # the search leaves the block
    for offset in range(0, 3000, 101):
        mid = walk.ticks(start + offset)
        limit = int(mid * (0.998 if side == "BUY" else 1.002))
        seconds = range(start + offset, start + offset + 400)
        hits = (s for s in seconds if (walk.ticks(s) <= limit if side == "BUY" else walk.ticks(s) >= limit))
        assert walk.first_crossing(side, limit, seconds.start, seconds.stop) == next(hits, None)


def test_prices_of_a_span_are_those_of_its_seconds():
    walk = Walk("ETH-USDT")
    start = START // BLOCK * BLOCK + BLOCK - 5
    assert list(walk.during(start, start + 10)) == [walk.ticks(second) for second in range(start, start + 10)]
