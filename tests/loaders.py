"""Other people's libraries that load the products: what they warn of, and nothing else."""

import pytest

loads_croissant = pytest.mark.filterwarnings(
    # mlcroissant 1.1 with rdflib 7.6 and pandas 3.1.
    "ignore:ConjunctiveGraph is deprecated:DeprecationWarning",
    "ignore:The inplace keyword in DataFrame.reset_index is deprecated",
)
