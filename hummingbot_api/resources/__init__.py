"""The requests to a server, by subject: ``api.accounts.add("client_sharp")``.

Every call may raise what ``Transport.request`` raises (no connection, no answer in time, wrong password),
``UnexpectedAnswer`` for an answer of another shape, and ``InvalidName``. A rejection that means nothing more precise is
``NotFound`` (404), ``RequestRejected`` (other 4xx) or ``ServerFailed`` (5xx).
The docstrings name what comes on top of these.
"""

from hummingbot_api.resources.accounts import Accounts
from hummingbot_api.resources.archives import Archives
from hummingbot_api.resources.bots import Bots
from hummingbot_api.resources.connectors import Connectors
from hummingbot_api.resources.controllers import Controllers
from hummingbot_api.resources.docker import Docker
from hummingbot_api.resources.market_data import MarketData
from hummingbot_api.resources.portfolio import Portfolio
from hummingbot_api.resources.scripts import Scripts
from hummingbot_api.resources.system import System

__all__ = [
    "Accounts",
    "Archives",
    "Bots",
    "Connectors",
    "Controllers",
    "Docker",
    "MarketData",
    "Portfolio",
    "Scripts",
    "System",
]
