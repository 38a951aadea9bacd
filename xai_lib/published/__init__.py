"""The four papers' tables as data, as printed: ``published.table("contrastive", 4)``."""

from xai_lib.published.comparison import compare, convert
from xai_lib.published.tables import COLUMNS, KEYS, errata, of_network, papers, sentences, table, tables
