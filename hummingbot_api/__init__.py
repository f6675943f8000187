"""Everything that knows how a Hummingbot API server talks."""

from hummingbot_api.client import HummingbotAPI
from hummingbot_api.errors import HummingbotAPIError

__all__ = ["HummingbotAPI", "HummingbotAPIError"]
