"""The columns of the engineered splits: their names and origins, without the computation."""

from dataclasses import dataclass

from skymill.engine.errors import SkymillError
from skymill.magnetic.schema import PARAMETERS

SUFFIXES = {"rolling_mean": "roll_mean", "rolling_std": "roll_std", "diff": "diff", "lag": "lag"}
"""Each operation of the configuration, and its part of a column's name."""


@dataclass(frozen=True)
class Derived:
    """One derived column: an operation on a base column over a window of steps."""

    operation: str
    parameter: str
    window: int

    @property
    def name(self) -> str:
        """Return the column's name, such as USFLUX_log_roll_mean5."""
        return f"{self.parameter}_{SUFFIXES[self.operation]}{self.window}"


class Columns:
    """The columns that a configuration selects.

    Parameters
    ----------
    settings
        The settings `fill` (interpolate or zero), `log1p` (parameters), `derived` (operation,
        parameter, window) and `columns` (the result, in order).

    Attributes
    ----------
    names
        The columns in order, without record_id, seq_id and label.
    logs
        The logarithm columns, each with its parameter.
    derived
        The derived columns among the names.
    parameters
        The raw parameters to read, in file order.

    Raises
    ------
    SkymillError
        When a column is neither a parameter nor declared.
    """

    def __init__(self, settings: dict):
        self.fill = settings["fill"]
        self.names = tuple(settings["columns"])
        self.logs = {f"{name}_log": name for name in settings["log1p"]}
        declared = {column.name: column for column in (Derived(**d) for d in settings["derived"])}
        for column in declared.values():
            if column.parameter not in self.logs and column.parameter not in PARAMETERS:
                raise SkymillError(
                    f"features.derived has {column.operation} of {column.parameter}, which is "
                    "neither a parameter nor the _log of a parameter in features.log1p."
                )
        for name in self.names:
            if name not in declared and name not in self.logs and name not in PARAMETERS:
                raise SkymillError(
                    f"features.columns names {name}, which is neither a parameter nor declared in "
                    "features.log1p or features.derived. The declared columns are: "
                    f"{', '.join([*self.logs, *declared])}."
                )
        self.derived = {name: declared[name] for name in self.names if name in declared}
        needed = {self.parameter_of(name) for name in self.names}
        self.parameters = tuple(name for name in PARAMETERS if name in needed)

    def parameter_of(self, name: str) -> str:
        """Return the raw parameter that a column is computed from."""
        base = self.derived[name].parameter if name in self.derived else name
        return self.logs.get(base, base)
