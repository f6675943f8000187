"""What each figure of a report means, and where it comes from: printed with every report."""

DEFINITIONS = (
    (
        "Uptime",
        "Share of the time in which a bot was deployed and had open orders on both sides of the book. With several "
        "bots, their average.",
        "the bots' own reports, counted each second",
    ),
    (
        "Quoted spread",
        "Distance between the bot's best bid and best ask in percent of the mid price, averaged over the time in which "
        "it quoted both sides.",
        "the bots' own reports",
    ),
    (
        "Depth",
        "Value of the bot's open orders on one side within a distance of the mid price, averaged over the time in "
        "which it was connected to the exchange. With several bots, their average.",
        "the bots' own reports",
    ),
    (
        "Obligation met",
        "Share of the measured time of the contract's hours in which every limit of the obligation was met. Time "
        "without a report is not counted, and is listed as a gap.",
        "the bots' own reports, judged every minute",
    ),
    ("Volume", "Price times amount of all trades, buys and sells.", "the bots' trade records"),
    (
        "Realized PnL",
        "Profit of what was bought and sold again, by average cost, without fees.",
        "the bots' trade records",
    ),
    (
        "Unrealized PnL",
        "Change in the period of what the open inventory is worth at the mid price above its average cost.",
        "the bots' trade records, and the order book at the start and the end of the period",
    ),
    ("Fees", "Fees of all trades, in the quote asset.", "the bots' trade records"),
    ("Net PnL", "Realized PnL and unrealized PnL, less fees.", "the figures above"),
    (
        "Inventory",
        "Amount of the base asset that the bots have bought, less what they have sold, since their first trade.",
        "the bots' trade records",
    ),
    (
        "Balances",
        "What the account held of a market's assets, by the first and the last report of the period.",
        "the exchange, as the bots read it",
    ),
    (
        "Maker share",
        "Share of the volume that was traded by orders that had rested on the book, where that is known.",
        "the bots' trade records, complete once a bot has been archived",
    ),
)
