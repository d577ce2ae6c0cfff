"""Known warnings of other libraries that load the products."""

import pytest

loads_croissant = pytest.mark.filterwarnings(
    # mlcroissant 1.1 with rdflib 7.6 and pandas 3.1.
    "ignore:ConjunctiveGraph is deprecated:DeprecationWarning",
    "ignore:The inplace keyword in DataFrame.reset_index is deprecated",
)
