"""Tables of the saliency notebooks."""

from xai_lib.papers.saliency.tables.benchmark import (
    cost,
    discrimination,
    fooled,
    leaderboard,
    methods,
    metrics,
    networks,
    readings,
    sanity,
    sentences,
    stability,
    unprinted,
)
from xai_lib.papers.saliency.tables.export import export
from xai_lib.papers.saliency.tables.printed import table_1, table_2, table_3, table_4, tools
