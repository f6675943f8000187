"""A Hummingbot API server to develop and test against, traps included; needs FastAPI and uvicorn.

With ``Sandbox(market="living")`` prices walk and orders fill. A test compares what the panel shows with the exchanges'
own books: ``sandbox.world.orders()``, ``fills()``, ``open_orders()``, ``balances(account, connector)``, ``mid(pair)``.
``sandbox.world.clock.stop()`` and ``.advance(seconds)`` move its time, and everything happens that happens until then.
"""

from sandbox.server import Sandbox

__all__ = ["Sandbox"]
