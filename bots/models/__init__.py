"""Trading: strategies, bots (the desired state), deployments (what was done, and what the server shows of it)."""

from bots.models.bot import DEFINITION, Bot
from bots.models.deployment import LIMITS, BotState, Deployment, DeploymentQuerySet, Trouble, shown_state
from bots.models.docker_image import DEFAULT_IMAGE, validate_image
from bots.models.emergency_stop import EmergencyStop, EmergencyStopQuerySet, StopScope, may_stop
from bots.models.log_line import LogKind, LogLine
from bots.models.market_listing import MarketListing
from bots.models.orphaned_orders import OrphanedOrders
from bots.models.performance_sample import MAX_ID, PerformanceQuerySet, PerformanceSample
from bots.models.restarting import MAX_RESTARTS, RESTARTING, RestartPolicy
from bots.models.strategy import Strategy, StrategyKind, validate_controller
from bots.models.trading_rules import TradingRules
from bots.models.unmanaged_instance import UnmanagedInstance
from bots.strategies.pairs import normalize_pair

__all__ = [
    "DEFAULT_IMAGE",
    "DEFINITION",
    "LIMITS",
    "MAX_ID",
    "MAX_RESTARTS",
    "RESTARTING",
    "Bot",
    "BotState",
    "Deployment",
    "DeploymentQuerySet",
    "EmergencyStop",
    "EmergencyStopQuerySet",
    "LogKind",
    "LogLine",
    "MarketListing",
    "OrphanedOrders",
    "PerformanceQuerySet",
    "PerformanceSample",
    "RestartPolicy",
    "StopScope",
    "Strategy",
    "StrategyKind",
    "TradingRules",
    "Trouble",
    "UnmanagedInstance",
    "may_stop",
    "normalize_pair",
    "shown_state",
    "validate_controller",
    "validate_image",
]
