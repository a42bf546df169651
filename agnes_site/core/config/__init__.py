"""The configuration: what can be set, and what is in force."""

from agnes_site.core.config.fields import BASE_DIR, Config, described
from agnes_site.core.config.loading import Loaded, config, load, loaded, variable

__all__ = ["BASE_DIR", "Config", "Loaded", "config", "described", "load", "loaded", "variable"]
