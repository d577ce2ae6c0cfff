"""Names and constants of SWAN-SF (doi:10.7910/DVN/EBCFKM).

The Snakefile imports this module, so it imports no library.
"""

from skymill.magnetic.schema import LABELS as LABELS
from skymill.magnetic.schema import PARAMETERS as PARAMETERS_OF_2020
from skymill.magnetic.schema import STEPS as STEPS

PARTITIONS = ("partition1", "partition2", "partition3", "partition4", "partition5")
"""The five tarballs, without `_instances.tar.gz`."""

STEP_SECONDS = 720
"""Seconds from one step to the next."""

NOT_IN_SWAN = {
    "RBZ_VALUE",
    "RBT_VALUE",
    "RBP_VALUE",
    "FDIM",
    "BZ_FDIM",
    "BT_FDIM",
    "BP_FDIM",
    "PIL_LEN",
    "XR_MAX",
}
"""Parameters of the 2020 files that are not in SWAN-SF, or (XR_MAX) not from magnetograms."""

PARAMETERS = tuple(name for name in PARAMETERS_OF_2020 if name not in NOT_IN_SWAN)
"""The 24 magnetic parameters of both SWAN-SF and the 2020 files, in the order of the 2020 files.
The CSV files of SWAN-SF have another order: MEANSHR is before SHRGT45."""

FOLDERS = ("FL", "NF")
"""The folders of a partition: windows before M and X flares, and all other windows."""
