"""Ways of training a network to run at several costs ("systems"), one in each file. `system.name` selects one."""

from __future__ import annotations

from sdpoint.config import Config
from sdpoint.systems.base import System
from sdpoint.systems.exits import Exits
from sdpoint.systems.plain import Plain
from sdpoint.systems.sact import Sact
from sdpoint.systems.scales import Scales
from sdpoint.systems.sdpoint import SDPoint
from sdpoint.systems.twice import Twice

SYSTEMS: dict[str, type[System]] = {
    "sdpoint": SDPoint,
    "plain": Plain,
    "exits": Exits,
    "scales": Scales,
    "sact": Sact,
    "twice": Twice,
}


def build_system(config: Config, classes: int) -> System:
    """The system of a configuration. Raises ConfigError if the system's keys do not fit the network."""
    return SYSTEMS[config.system.name](config, classes)
