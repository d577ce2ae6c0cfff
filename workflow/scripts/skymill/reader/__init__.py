"""The functions for users of the products, such as `skymill.load`.

They read a results folder, or a folder of products that was downloaded without the project. No job
imports this package.
"""

from skymill.reader.dataset import Dataset
from skymill.reader.lineage import lineage
from skymill.reader.load import load
from skymill.reader.statistics import statistics

__all__ = ["Dataset", "lineage", "load", "statistics"]
