"""What the cards say in words, by data set: what a count cannot tell."""

from dataclasses import dataclass, replace

from skymill.magnetic.inputs import CUP, SWAN
from skymill.sdo.names import CHANNELS


@dataclass(frozen=True)
class Words:
    """The words of a data set.

    Attributes
    ----------
    title
        Its name.
    what
        What a row is and what it is for.
    label
        What the label means and where it comes from.
    noise
        How far the label can be wrong.
    made
        What was done with the raw files.
    imputed
        What became of missing values.
    limits
        What it cannot be used for, a sentence each.
    leaks
        What is proven about its splits, and what is not; none where a receipt says it.
    tags, tasks
        Words of the Hugging Face Hub.
    observatory, instrument, channels, cadence_minutes
        Words of GeoCroissant; none for what is no space weather.
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
    "The label is the class of a flare in a list, and such lists are not free of errors. Hu et "
    "al. (2025, arXiv:2512.13417) compare the lists that forecasts are trained on: flares are "
    "missing, have no region or another one, and operational and science-quality X-ray fluxes "
    "differ, so that classes near a threshold change. A score that depends on single flares of "
    "class M or X should be read with that in mind."
)

WORDS = {
    "magnetic": Words(
        title="Skymill magnetic: windows of solar active regions before flares",
        what=(
            "A record is a window of 60 steps, 12 minutes apart, of one active region of the Sun: "
            "magnetic parameters as HMI measured them, and engineered columns made of them. The "
            "task is to forecast the strongest flare of the following 24 hours. The files have a "
            "row for each step, sorted by record_id and seq_id, 60 rows a record."
        ),
        label=(
            "GOES class of the strongest flare in the 24 hours after the window: X, M, C, B, or Q "
            "(A class or none). It is `unknown` in holdout_test, whose labels the archive "
            "withholds."
        ),
        noise=FLARE_NOISE,
        made=(
            "Every line of the raw files was parsed and checked; ids that occur twice were made "
            "unique. Windows that share a time step were chained to regions, splits were drawn, "
            "and synthetic copies were made of training records. Columns were then computed "
            "inside each record. `records.parquet` says for each record where it is from and how "
            "it was made."
        ),
        imputed=(
            "Missing steps were filled inside each record as `features.fill` says. The columns "
            "`missing_*` of records.parquet have the share of steps that had no value."
        ),
        limits=(
            "X and M flares are rare, and windows of one region are much alike: a score rests on "
            "as many regions as have such flares, not on as many windows.",
            "The raw files have no times and no region numbers, so that a split by time is not "
            "possible.",
            "XR_MAX, where it is a column, is the X-ray flux of the whole disk and not of the "
            "region.",
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
            "the strongest flare of the 24 hours after the window. The index has a row for each "
            "sample; the tensors (Zarr 3) have the samples in the same order."
        ),
        label=(
            "X, M, C or Q (below C1.0) by the GOES class of the strongest flare in the 24 hours "
            "after the window, see `sdo.flux_scale`. peak_flux is as the archive stores it: in "
            "W/m2, divided by 0.85."
        ),
        noise=FLARE_NOISE,
        made=(
            "Every image was decoded and checked, placed by its time and channel, and written into "
            "the tensors as it was: grey values are those of the archive. The validation split was "
            "cut from the official training set by whole groups of regions."
        ),
        imputed=(
            "An image that is missing or damaged is 0 and `available` is false there. Mask it: a "
            "0 in a magnetogram otherwise stands for -250 G."
        ),
        limits=(
            "Images are scaled to 8 bits and clipped: the attributes of the tensors have the "
            "scale.",
            "Some windows end at the peak of the flare that they are labelled with, see "
            "`window_ends_at_peak`: their images may show the flare itself.",
            "Samples of one region overlap in time, see `overlapping_samples`.",
        ),
        leaks=(
            "Train, validation and test share no NOAA number, and train and validation share no "
            "patch of the Sun that JSOC's table of HARPs knows.",
            "That the official test set shows other patches of the Sun than the training set: NOAA "
            "numbers are names, and a patch may have several. `sdo.split: cleaned` takes training "
            "samples of groups that touch the test set out of training.",
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
            "A pair is a sample of SDOBenchmark (images of an active region of the Sun) with the "
            "60 steps, 12 minutes apart, of the 24 magnetic parameters that SWAN-SF has of the "
            "same region in the hours before the sample ends. `set` and `row` say where the "
            "images are: row `row` of processed/sdo/{set}.zarr."
        ),
        label=(
            "X, M, C or Q as SDOBenchmark has it. label_swan and label_2020 are the labels that "
            "the two other archives have of nearly the same time."
        ),
        noise=FLARE_NOISE
        + " Here several labels of one region and time can be compared, see report.md.",
        made=(
            "Samples and series were joined by HARP and NOAA numbers and by time. Records of the "
            "competition of 2020, which have no times, were located by the values of their steps."
        ),
        imputed=(
            "`series` is NaN where nothing was measured. Engineered columns are filled inside each "
            "pair as `features.fill` says."
        ),
        limits=(
            "A HARP may hold several regions: `flags` names such pairs, whose series and label "
            "may be of another region than the images.",
            "Times of SWAN-SF are taken as TAI, by inference.",
            "Few samples have a partner, so classes X and M are rare.",
        ),
        leaks=(
            "No group of regions that HARPs and NOAA numbers link, by JSOC's table, by SWAN-SF's "
            "own steps or by an equal step of two HARPs, has pairs in two splits.",
            "Anything about other data sets: the splits of the magnetic data set and the "
            "validation split of SDOBenchmark are drawn independently. Never train on one and "
            "test on the other.",
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
            "template and difference image, cut around the source. The task is to tell the class "
            "of its object. stamps.npy and labels.csv have the same rows."
        ),
        label=(
            "What the class of the object in ALeRCE's list (or the user's own) was mapped to, see "
            "`labels.map`; `alerce_class` is the class itself."
        ),
        noise=(
            "Classes of the list `predictions` are those of a classifier of light curves and no "
            "ground truth: `probability` is its own. A model that is trained on them learns the "
            "classifier's errors as well. Objects that the list has with different classes are "
            "treated as `labels.on_conflict` says. Errors of labels are no matter of stamps alone: "
            "Hu et al. (2025, arXiv:2512.13417) show for solar flares how much a score can owe to "
            "the list that it was computed with."
        ),
        made=(
            "Alerts were read from the nightly tarballs, their stamps unpacked and cut, and their "
            "objects matched with the list of classes by name. One alert of an object was taken as "
            "`ztf.representative` says."
        ),
        imputed=(
            "Pixels that were NaN or infinite are 0; nan_science, nan_template and nan_difference "
            "count them. statistics.json leaves them out."
        ),
        limits=(
            "Classes are very uneven: `ztf.sample` limits how many objects of a class are exported "
            "(`sampled`).",
            "Stamps are not normalised, and their background depends on the night and the "
            "detector.",
            "Where isdiffpos is -1 the difference is template minus science; the pixels alone do "
            "not show it.",
        ),
        leaks=(
            "Objects within 1.5 arcsec of each other, chained, are in one split (the column "
            "`group`), so no object and no place of the sky is in two of them.",
            "That nights, detectors or fields are in one split only: they are in all of them.",
        ),
        tags=("astronomy", "transients", "time-domain", "images", "ZTF", "alerts"),
        tasks=("image-classification",),
    ),
}

SWAN_WORDS = replace(
    WORDS["magnetic"],
    label=(
        "GOES class of the strongest flare in the 24 hours after the window, as SWAN-SF has it: X, "
        "M, C, B, or Q (A class or none)."
    ),
    made=(
        "Every window of SWAN-SF was read and checked; a step that several windows have is kept "
        "once. Regions are groups of HARPs that NOAA numbers or equal steps link. Splits were "
        "drawn, and synthetic copies were made of training records. Columns were then computed "
        "inside each record. `records.parquet` says for each record where it is from, where on the "
        "Sun and when it was seen, and how it was made."
    ),
    limits=(
        WORDS["magnetic"].limits[0],
        "A HARP may hold several regions, and a region that returns after a rotation of the Sun "
        "has new numbers.",
        "Times of SWAN-SF are taken as TAI, by inference.",
    ),
)
"""Of the magnetic data set, where it was made of SWAN-SF."""


def words_of(name: str, settings: dict) -> Words:
    """Return the words of a data set; `settings` are those in force, by their dotted names."""
    is_swan = name == "magnetic" and settings.get("magnetic.input", CUP.name) == SWAN.name
    return SWAN_WORDS if is_swan else WORDS[name]


NOISE_PAPER = (
    "Hu, K., Jin, K., Verma, V., Liu, W., Manchester, W., Zhao, L., Gombosi, T., and Chen, Y. "
    "2025, Defects and Inconsistencies in Solar Flare Data Sources: Implications for Machine "
    "Learning Forecasting, arXiv:2512.13417"
)
