"""The terms that the panel takes from Hummingbot or uses in a sense of its own, explained once for all pages."""

GLOSSARY = {
    "Archive": "Removes a bot from its server for good. Its container is deleted; its trades are kept there in a file.",
    "Account manager": "The person at the agency who manages a client. Account managers see only their own clients.",
    "Base and quote asset": "In BTC-USDT, BTC is the base asset: the bot buys and sells it. USDT is the quote asset: "
    "prices and PnL are counted in it.",
    "Bot": "A client, a connector, a trading pair, a strategy and its settings. A bot does nothing until it is "
    "deployed.",
    "Batch": "The same operation for many bots or clients, requested at once, with its progress and its failures.",
    "Check": "Asks the server and the exchange whether a bot's definition is valid. Changes nothing.",
    "Channel": "Sends notifications about incidents by e-mail, Slack, Discord, Telegram or webhook.",
    "Client": "A customer of the agency. The bots trade with the client's money and exchange keys.",
    "Connector": "Hummingbot's name for one market of an exchange, such as bitmart or binance_perpetual.",
    "Controller": "A strategy that is installed on the Hummingbot API server. Some of its settings can change while it "
    "runs.",
    "Credentials profile": "A client's folder on a server. It holds the exchange keys that the client's bots use.",
    "Deployment": "One run of a bot on a server, with the settings and keys that it started with.",
    "Docker": "The software that runs each instance on a server in its own container.",
    "Depth": "The value of the orders on one side of an order book within a distance of the mid price.",
    "Drawdown": "How far profit may fall from its peak before the bot stops itself.",
    "Emergency stop": "Stops everything, a client's bots or a server's bots at once, and blocks deploys until it is "
    "lifted.",
    "Exchange key": "The API key, secret and, at some exchanges, a third value. They let software trade for the "
    "client.",
    "Headless": "Running without Hummingbot's own user interface, as bots on a server do.",
    "Image": "The Docker image, and so the version, of Hummingbot that an instance runs.",
    "Incident": "A problem that needs attention, such as a crashed bot or a rejected key.",
    "Instance": "A Hummingbot program that runs one deployment on a server, in a Docker container.",
    "Mid price": "The price between the best bid and the best ask of an order book.",
    "MQTT": "The protocol between a server and its instances. Without it, bots can't be stopped and don't respond.",
    "Net PnL": "Realized and unrealized profit or loss, less fees, in the quote asset. What was bought counts at its "
    "average cost, what is still held at the mid price.",
    "Obligation": "What a client's contract asks for in a market: a largest spread, a least depth on each side, "
    "a least uptime.",
    "Operation": "One action of the panel on a server, such as a deployment, with each of its steps.",
    "Paper trade": "Trading with simulated money at live prices, to test a bot.",
    "Pause": "Stops a controller from placing orders while its instance stays up. Resume ends the pause.",
    "Push": "Sends a client's exchange keys to its server, which tests each of them at the exchange.",
    "Orphaned orders": "Orders that a bot left open at its exchange, or may have. Nobody has confirmed that they are "
    "cancelled.",
    "Recover": "Starts an instance that did not stop cleanly, just long enough to stop it and cancel its orders.",
    "Redeploy": "Archives a bot's instance and starts a new one with the current definition and keys.",
    "Restart policy": "Whether the panel starts a bot again after a crash, and how often within an hour.",
    "Rotate": "Replaces an exchange key: enter the new values, push them, and redeploy the bots that use the key.",
    "Script": "A strategy as a Python file that the panel uploads to the server.",
    "Two-factor authentication": "A code from an authenticator app that is required in addition to the password.",
    "Server": "A Hummingbot API host that runs bots.",
    "Spread": "In a bot's settings, the distance of a quoted price from the mid price, as a fraction: 0.003 is 0.3 %. "
    "The quoted spread is the distance between the best bid and the best ask, in percent of the mid price.",
    "Stop": "Cancels a bot's orders and ends its strategy. Its instance stays and can be started again.",
    "Strategy": "How a bot trades: a script or a controller, with its settings and their limits.",
    "Trade": "A fill of an order. An order may be filled in several trades.",
    "Trading rules": "An exchange's rules for orders in a pair: minimum amount, minimum value and price step.",
    "Uptime": "The share of a time in which a bot had open orders on both sides.",
    "Token": "A credential that lets another program use the panel's JSON API.",
}
