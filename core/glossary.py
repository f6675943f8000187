"""The words that the panel takes from Hummingbot or uses in a sense of its own, explained once for all pages."""

GLOSSARY = {
    "Archive": "Taking a bot off its server for good: its container is removed, its trades are kept there in a file.",
    "Account manager": "The person at the agency who looks after a client, and sees that client's pages.",
    "Base and quote asset": "Of the pair BTC-USDT, BTC is the base asset, which is bought and sold, and USDT the quote "
    "asset, in which prices, profit and loss are counted.",
    "Bot": "What is to trade: a client, a connector, a trading pair, a strategy and its settings. It does nothing "
    "until it is deployed.",
    "Check": "Asking the server and the exchange whether a bot's definition would do, without changing anything.",
    "Channel": "Where incidents are told: e-mail, Slack, Discord, Telegram or a webhook.",
    "Client": "A customer of the agency, whose money and whose exchange keys the bots use.",
    "Connector": "Hummingbot's name for an exchange and one of its markets, such as bitmart or binance_perpetual.",
    "Controller": "A strategy that comes with the Hummingbot API server. Some of its settings can be changed while it "
    "runs.",
    "Credentials profile": "A client's directory on a server, with the exchange keys that the client's bots use. "
    "Pushing a profile sends the keys there.",
    "Deployment": "One run of a bot on a server, with the settings and keys that it was started with.",
    "Docker": "What runs each instance on a server, in a container of its own.",
    "Drawdown": "How far profit may fall from its highest point before the bot stops itself.",
    "Exchange key": "What an exchange gives a client so that software may trade for them: an API key, its secret, at "
    "some exchanges a third value.",
    "Headless": "Running without Hummingbot's own screen, as a bot on a server does.",
    "Image": "The version of Hummingbot that an instance runs, by its name at Docker.",
    "Incident": "Something that went wrong and that a person should know: a bot crashed, a key was refused.",
    "Instance": "A Hummingbot program that runs one deployment on a server, in a Docker container.",
    "MQTT": "How a server and its instances talk to each other. Without it, no bot can be stopped, and none is heard.",
    "Operation": "One thing that the panel did outside, such as a deployment, with each of its steps.",
    "Paper trade": "Trading with invented money at real prices, to try a bot.",
    "Pause": "Having a controller place no orders while its instance stays up. Resume ends it.",
    "Push": "Sending a client's exchange keys to its server, which tries each of them at the exchange.",
    "Orphaned orders": "Orders that a bot left open at its exchange, or may have: nobody has seen them cancelled.",
    "Recover": "Bringing up an instance that did not stop in order, just long enough to stop it and cancel its orders.",
    "Redeploy": "Archiving a bot's instance and starting a new one, with today's definition and keys.",
    "Rotate": "Replacing an exchange key: entering its new values, pushing them, and redeploying the bots that use it.",
    "Script": "A strategy as a Python file that the panel uploads to the server.",
    "Second factor": "A code from an authenticator app that is asked for besides the password.",
    "Server": "One Hummingbot API host, on which bots run.",
    "Spread": "How far a price that is quoted is from the mid price, as a fraction: 0.003 is 0.3 %.",
    "Stop": "Having a bot cancel its orders and end its strategy. Its instance stays, and can be started again.",
    "Strategy": "How a bot trades: a script or a controller, with its settings and their limits.",
    "Trading rules": "What an exchange asks of orders for a pair: the smallest amount and value, the steps of a price.",
    "Token": "What another program signs in with to use the panel's JSON API.",
}
