"""Names and constants of the 2020 data set, as in the archive.

Source: GSU Data Mining Lab, IEEE Big Data Cup 2020, and SWAN-SF (doi:10.7910/DVN/EBCFKM).
"""

STEPS = 60
"""Steps in a record, 12 minutes apart."""

PARAMETERS = (
    "TOTUSJH",
    "TOTBSQ",
    "TOTPOT",
    "TOTUSJZ",
    "ABSNJZH",
    "SAVNCPP",
    "USFLUX",
    "TOTFZ",
    "MEANPOT",
    "EPSZ",
    "SHRGT45",
    "MEANSHR",
    "MEANGAM",
    "MEANGBT",
    "MEANGBZ",
    "MEANGBH",
    "MEANJZH",
    "TOTFY",
    "MEANJZD",
    "MEANALP",
    "TOTFX",
    "EPSY",
    "EPSX",
    "R_VALUE",
    "RBZ_VALUE",
    "RBT_VALUE",
    "RBP_VALUE",
    "FDIM",
    "BZ_FDIM",
    "BT_FDIM",
    "BP_FDIM",
    "PIL_LEN",
    "XR_MAX",
)
"""The 33 parameters in file order."""

INDEX = {name: position for position, name in enumerate(PARAMETERS)}
"""Position of each parameter in PARAMETERS."""

MAGNETIC_PARAMETERS = tuple(name for name in PARAMETERS if name != "XR_MAX")
"""The 32 parameters that come from magnetograms; XR_MAX comes from the full-disk X-ray flux."""

EXTENSIVE_PARAMETERS = (
    "TOTUSJH",
    "TOTBSQ",
    "TOTPOT",
    "TOTUSJZ",
    "ABSNJZH",
    "SAVNCPP",
    "USFLUX",
    "TOTFZ",
    "TOTFY",
    "TOTFX",
)
"""Sums over the active region: an exact zero means that the step was not measured."""

XR_MAX_MISSING = -99999.0
"""The sentinel of a missing XR_MAX."""

LORENTZ = 7.52987e-16
"""EPSX = -LORENTZ * TOTFX / TOTBSQ, EPSY = -LORENTZ * TOTFY / TOTBSQ,
EPSZ = +LORENTZ * TOTFZ / TOTBSQ.

The relations are exact to 3.5e-7 in every usable step of the six real SWAN-SF windows in the
project's tests.
"""

LABELS = ("X", "M", "C", "B", "Q")
"""GOES classes of the strongest flare in the next 24 hours; Q: quiet (A class or none)."""

PUBLISHED_RECORDS = {"X": 385, "M": 3_863, "C": 21_024, "B": 11_876, "Q": 175_914}
"""Usable records of the training files as published, by class."""

UNKNOWN = "unknown"
"""The label of records whose class the archive does not publish."""

CLASSES = (*LABELS, UNKNOWN)
"""The categories of every label column, in order."""

QUIET_NAMES = ("FQ", "N")
"""SWAN-SF's names of Q: flare-quiet windows.

NF is not a name of Q: SWAN-SF uses NF for a folder that contains B and C windows as well.
"""

TRAIN_PARTITIONS = ("train_partition1_data", "train_partition2_data", "train_partition3_data")
"""The training files in file order, without `.json`."""

TEST_PARTITION = "test_4_5_data"
"""The unlabelled test file, without `.json`."""

PARTITIONS = (*TRAIN_PARTITIONS, TEST_PARTITION)

FIRST_NEW_ID = 171_038
"""The smallest id of renumbered records: partition 2 of the archive ends at 171,037."""

TRAIN_SPLITS = ("train", "dev", "test")
"""The splits of the training files. The split `holdout_test` is the test file."""

SPLITS = (*TRAIN_SPLITS, "holdout_test")
