"""The texts of the cards that are not counts, by data set."""

from dataclasses import dataclass, replace

from skymill.magnetic.inputs import CUP, SWAN
from skymill.sdo.names import CHANNELS


@dataclass(frozen=True)
class Words:
    """The texts of a data set.

    Attributes
    ----------
    title
        Its name.
    what
        What a row is, and the task.
    label
        The meaning and the origin of the label.
    noise
        How the label can be wrong.
    made
        How the data set was made from the raw files.
    imputed
        How missing values are written.
    limits
        The limits of its use, one sentence each.
    leaks
        What is proven about its splits, and what is not; None if a receipt has these texts.
    tags, tasks
        Terms of the Hugging Face Hub.
    observatory, instrument, channels, cadence_minutes
        Terms of GeoCroissant; None or empty for data sets that are not about space weather.
    """

    title: str
    what: str
    label: str
    noise: str
    made: str
    imputed: str
    limits: tuple[str, ...]
    leaks: tuple[str, str] | None
    tags: tuple[str, ...]
    tasks: tuple[str, ...]
    observatory: str | None = None
    instrument: str | None = None
    channels: tuple[str, ...] = ()
    cadence_minutes: int | None = None


FLARE_NOISE = (
    "The label is the class of a flare in a list, and flare lists have errors. Hu et al. (2025, "
    "arXiv:2512.13417) compare the lists that forecasts are trained on. Flares are missing, or "
    "have no region or a wrong region. Operational and science-quality X-ray fluxes differ, so "
    "classes near a threshold change. Be careful with a score that depends on single flares of "
    "class M or X."
)

WORDS = {
    "magnetic": Words(
        title="Skymill magnetic: windows of solar active regions before flares",
        what=(
            "A record is a window of 60 steps, 12 minutes apart, of one active region of the Sun. "
            "It has magnetic parameters, measured by HMI, and engineered columns computed from the "
            "parameters. The task is to forecast the strongest flare of the following 24 hours. "
            "The files have one row per step, sorted by record_id and seq_id: 60 rows per record."
        ),
        label=(
            "GOES class of the strongest flare in the 24 hours after the window: X, M, C, B, or Q "
            "(A class or none). The label is `unknown` in holdout_test, because the archive does "
            "not publish these labels."
        ),
        noise=FLARE_NOISE,
        made=(
            "Every line of the raw files was parsed and checked. Ids that occur twice were made "
            "unique. Windows that share a time step form a region. The splits were drawn, and "
            "synthetic copies of training records were made. Then columns were computed inside "
            "each record. `records.parquet` lists the origin of each record and how it was made."
        ),
        imputed=(
            "Missing steps were filled inside each record, see the setting `features.fill`. The "
            "columns `missing_*` of records.parquet have the share of steps without a value."
        ),
        limits=(
            "X and M flares are rare, and windows of one region are very similar. So the number of "
            "regions with X and M flares limits the precision of a score, not the number of "
            "windows.",
            "The raw files have no times and no region numbers, so a split by time is impossible.",
            "XR_MAX, if it is a column, is the X-ray flux of the whole disk, not of the region.",
        ),
        leaks=None,
        tags=("solar-flares", "space-weather", "time-series", "heliophysics", "SHARP", "SWAN-SF"),
        tasks=("time-series-forecasting", "tabular-classification"),
        observatory="SDO",
        instrument="HMI",
        cadence_minutes=12,
    ),
    "sdo": Words(
        title="Skymill SDOBenchmark: images of solar active regions before flares",
        what=(
            "A sample is an active region of the Sun in a window of 12 hours: images of 256 x 256 "
            "grey values at 4 time steps in 10 channels of AIA and HMI. The task is to forecast "
            "the strongest flare of the 24 hours after the window. The index has one row per "
            "sample. The tensors (Zarr 3) have the samples in the order of the index."
        ),
        label=(
            "X, M, C or Q (below C1.0), from the GOES class of the strongest flare in the 24 hours "
            "after the window, see `sdo.flux_scale`. peak_flux is the value of the archive: W/m2, "
            "divided by 0.85."
        ),
        noise=FLARE_NOISE,
        made=(
            "Every image was decoded and checked. Its time and channel give its place in the "
            "tensors. The tensors have the grey values of the archive. The validation split "
            "consists of whole groups of regions from the official training set."
        ),
        imputed=(
            "The pixels of a missing or damaged image are 0, and `available` is false. Mask these "
            "images: in a valid magnetogram, 0 means -250 G."
        ),
        limits=(
            "Images are scaled to 8 bits and clipped. The scale is in the attributes of the "
            "tensors.",
            "Some windows end at the peak of the flare in their label, see `window_ends_at_peak`. "
            "Their images may show this flare.",
            "Samples of one region overlap in time, see `overlapping_samples`.",
        ),
        leaks=(
            "Train, validation and test share no NOAA number. Train and validation share no patch "
            "of the Sun in JSOC's table of HARPs.",
            "That the official test set shows other patches of the Sun than the training set: a "
            "patch may have several NOAA numbers. `sdo.split: cleaned` removes training samples "
            "whose group is also in the test set.",
        ),
        tags=("solar-flares", "space-weather", "images", "heliophysics", "SDO", "zarr"),
        tasks=("image-classification",),
        observatory="SDO",
        instrument="AIA, HMI",
        channels=CHANNELS,
    ),
    "aligned": Words(
        title="Skymill aligned: magnetic series and images of the same solar regions",
        what=(
            "A pair is a sample of SDOBenchmark (images of an active region of the Sun) with a "
            "magnetic series of the same region from SWAN-SF: 24 parameters at 60 steps, 12 "
            "minutes apart, in the hours before the sample ends. The images of a pair are in row "
            "`row` of processed/sdo/{set}.zarr."
        ),
        label=(
            "The label of SDOBenchmark: X, M, C or Q. label_swan and label_2020 are the labels of "
            "the two other archives at nearly the same time."
        ),
        noise=FLARE_NOISE
        + " report.md compares the labels of several archives for the same region and time.",
        made=(
            "Samples and series were joined by HARP and NOAA numbers and by time. Records of the "
            "2020 competition have no times. They were located by the values of their steps."
        ),
        imputed=(
            "`series` is NaN at steps that were not measured. Engineered columns are filled inside "
            "each pair, see the setting `features.fill`."
        ),
        limits=(
            "A HARP may contain several regions. The column `flags` marks these pairs: their "
            "series and label may be of another region than the images.",
            "The times of SWAN-SF are assumed to be TAI.",
            "Few samples have a partner, so the classes X and M are rare.",
        ),
        leaks=(
            "No group of linked regions has pairs in two splits. HARPs and NOAA numbers link "
            "regions: in JSOC's table, in SWAN-SF's own steps, or by an equal step of two HARPs.",
            "Anything about other data sets: the splits of the magnetic data set and the "
            "validation split of SDOBenchmark are drawn independently. Never train on one data set "
            "and test on another.",
        ),
        tags=("solar-flares", "space-weather", "multimodal", "heliophysics", "SWAN-SF", "SDO"),
        tasks=("time-series-forecasting", "image-classification"),
        observatory="SDO",
        instrument="AIA, HMI",
        channels=CHANNELS,
        cadence_minutes=12,
    ),
    "ztf": Words(
        title="Skymill ZTF: stamps of classified alerts",
        what=(
            "A row is an alert of the Zwicky Transient Facility with its three stamps: science, "
            "template and difference image, cut around the source. The task is to predict the "
            "class of its object. stamps.npy and labels.csv have the same rows."
        ),
        label=(
            "The class of the object in ALeRCE's list (or in your own list), mapped by the setting "
            "`labels.map`. `alerce_class` is the class in the list."
        ),
        noise=(
            "The classes of the list `predictions` come from a classifier of light curves and are "
            "not ground truth; `probability` is the classifier's probability. A model that is "
            "trained on these classes learns the classifier's errors as well. The setting "
            "`labels.on_conflict` decides about objects that have several classes in the list. "
            "Labels of other data have errors, too: Hu et al. (2025, arXiv:2512.13417) show for "
            "solar flares how much a score can depend on the list of labels."
        ),
        made=(
            "Alerts were read from the nightly tarballs. Their stamps were unpacked and cut. Their "
            "objects were matched with the list of classes by name. The setting "
            "`ztf.representative` chose one alert per object."
        ),
        imputed=(
            "Pixels that were NaN or infinite are 0. nan_science, nan_template and nan_difference "
            "count these pixels. statistics.json leaves them out."
        ),
        limits=(
            "The classes are very imbalanced. `ztf.sample` limits how many objects of a class are "
            "exported (`sampled`).",
            "Stamps are not normalised, and their background depends on the night and the "
            "detector.",
            "If isdiffpos is -1, the difference is template minus science. The pixels alone do not "
            "show this sign.",
        ),
        leaks=(
            "Objects within 1.5 arcsec of each other, chained, are in one split (the column "
            "`group`). So no object and no place on the sky is in two splits.",
            "That a night, a detector or a field is in one split only: each is in all splits.",
        ),
        tags=("astronomy", "transients", "time-domain", "images", "ZTF", "alerts"),
        tasks=("image-classification",),
    ),
}

SWAN_WORDS = replace(
    WORDS["magnetic"],
    label=(
        "GOES class of the strongest flare in the 24 hours after the window, from SWAN-SF: X, M, "
        "C, B, or Q (A class or none)."
    ),
    made=(
        "Every window of SWAN-SF was read and checked. A step that is in several windows is kept "
        "once. A region is a group of HARPs that are linked by NOAA numbers or equal steps. The "
        "splits were drawn, and synthetic copies of training records were made. Then columns were "
        "computed inside each record. `records.parquet` lists the origin of each record, its place "
        "on the Sun, its time, and how it was made."
    ),
    limits=(
        WORDS["magnetic"].limits[0],
        "A HARP may contain several regions, and a region that returns after a rotation of the Sun "
        "has new numbers.",
        "The times of SWAN-SF are assumed to be TAI.",
    ),
)
"""The texts of the magnetic data set if it was made from SWAN-SF."""


def words_of(name: str, settings: dict) -> Words:
    """Return the texts of a data set. `settings` are in force, by their dotted names."""
    is_swan = name == "magnetic" and settings.get("magnetic.input", CUP.name) == SWAN.name
    return SWAN_WORDS if is_swan else WORDS[name]


NOISE_PAPER = (
    "Hu, K., Jin, K., Verma, V., Liu, W., Manchester, W., Zhao, L., Gombosi, T., and Chen, Y. "
    "2025, Defects and Inconsistencies in Solar Flare Data Sources: Implications for Machine "
    "Learning Forecasting, arXiv:2512.13417"
)
