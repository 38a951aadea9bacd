"""Which clusters of a class does a network attend to? (XICH)"""

from xai_lib.papers import on_demand

__getattr__ = on_demand(__name__, rank_clusters="one_class")
