"""Imitations of the job objects that Snakemake passes to scripts and to functions of rules."""

from pathlib import Path
from types import SimpleNamespace

from skymill.engine.names import Names
from skymill.engine.products import RECEIPT, describe_file, document_path, write_document

RESULTS = "data"
"""The results folder, below the current folder of a test."""


class Named(list):
    """Inputs, outputs or parameters of a rule: a list with named parts."""

    def __init__(self, **named):
        super().__init__()
        for value in named.values():
            self.extend(value if isinstance(value, list) else [value])
        self.__dict__.update(named)

    def items(self):
        """Return names and values."""
        return self.__dict__.items()

    def get(self, name, default=None):
        """Return the value of a name."""
        return self.__dict__.get(name, default)


def job(inputs=None, outputs=None, *, results=RESULTS, code="c0de", settings=None, **other):
    """Return the `snakemake` object of a script."""
    return SimpleNamespace(
        input=Named(**(inputs or {})),
        output=Named(**(outputs or {})),
        params=Named(code=code, settings=settings or {}, check=""),
        config={"results": results, "limits": {"max_rejected_fraction": 0.02}},
        wildcards=SimpleNamespace(),
        threads=1,
        log=["logs/job.log"],
        **other,
    )


def write_product(path, text="x\n", *, results=RESULTS, **content):
    """Write a product of one file, or a receipt, with its document; return the document's path."""
    path, document = Path(path), document_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = Names.around(path, results).name(path)
    described = {"product": name, "counts": {}, "source": "local", **content}
    if not path.name.endswith(RECEIPT):
        path.write_text(text)
        described["files"] = [{**describe_file(path, text.count("\n")), "name": name}]
    write_document(document, described)
    return str(document)
