"""A Hummingbot API server to develop and test against, traps included; needs FastAPI and uvicorn."""

from sandbox.server import Sandbox

__all__ = ["Sandbox"]
