"""The command line `skymill`: each command prints the result of a function of the package."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from skymill.engine.errors import SkymillError
from skymill.paths import DEFAULT_RESULTS

app = typer.Typer(
    help="Show what a results folder contains, where the data come from, and whether all is whole.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Results = Annotated[str, typer.Argument(help="The results folder.", metavar="[RESULTS]")]
ResultsOption = Annotated[str, typer.Option("--results", help="The results folder.")]


@app.command()
def summary(results: Results = DEFAULT_RESULTS) -> None:
    """List the products that were made. RESULTS may be an address in object storage."""
    from skymill.summary import summarise

    typer.echo(summarise(results))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A record_id, or the name of a sample or object.")],
    results: ResultsOption = DEFAULT_RESULTS,
    split: Annotated[
        str | None, typer.Option(help="holdout_test, for a record of the test file.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The PNG to write; NAME.png by default.")
    ] = None,
) -> None:
    """Draw a record and its copies, the images of a sample, or the stamps of an object."""
    from skymill.command.show import show
    from skymill.engine.products import new_file

    picture, said = show(name, results, split)
    path = output or Path(f"{name.replace('/', '_')}.png")
    with new_file(path) as temporary:
        picture.save(temporary, format="PNG")
    typer.echo(f"{said}\n{path}")


@app.command()
def lineage(
    record: Annotated[int, typer.Argument(help="The record_id.")],
    results: ResultsOption = DEFAULT_RESULTS,
    split: Annotated[
        str | None, typer.Option(help="holdout_test, for a record of the test file.")
    ] = None,
) -> None:
    """Print where a magnetic record comes from: file, line, split, and how it was made."""
    from skymill.reader.lineage import lineage

    typer.echo(str(lineage(record, split, results)))


@app.command()
def cite(results: Results = DEFAULT_RESULTS) -> None:
    """Print BibTeX entries of Skymill and of every archive that a results folder was made from."""
    from skymill.command.cite import cite

    typer.echo(cite(results))


@app.command()
def diff(
    first: Annotated[str, typer.Argument(help="A results folder.")],
    second: Annotated[str, typer.Argument(help="Another results folder.")],
) -> None:
    """Compare two results folders: settings, products, splits and labels."""
    from skymill.command.diff import diff

    typer.echo(diff(first, second))


@app.command()
def score(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet: record_id (sdo, aligned: sample_id; ztf: candid) or position; "
            "probability of an event, label (the class), or both."
        ),
    ],
    results: ResultsOption = DEFAULT_RESULTS,
    data_set: Annotated[
        str, typer.Option("--set", help="magnetic, sdo, aligned or ztf.")
    ] = "magnetic",
    split: Annotated[str, typer.Option(help="The split that is scored.")] = "test",
    dev: Annotated[
        Path | None,
        typer.Option(help="Predictions of the validation split, where the file has none."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="A threshold that was chosen beforehand.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The classes that are events; X,M by default, of ztf YSO.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score your own predictions of a split: TSS, HSS and macro F1.

    The threshold comes from the validation split, which may be in the same file.
    """
    from skymill.baseline.predictions import score_predictions
    from skymill.command.score import as_text
    from skymill.engine.products import json_text

    verdict = score_predictions(
        predictions,
        results,
        data_set=data_set,
        split=split,
        dev=dev,
        threshold=threshold,
        positive=tuple(positive.split(",")) if positive else None,
    )
    typer.echo(json_text(verdict.described()).rstrip() if as_json else as_text(verdict))


@app.command()
def prune(
    results: Results = DEFAULT_RESULTS,
    delete: Annotated[bool, typer.Option("--delete", help="Delete these products.")] = False,
) -> None:
    """List the products of earlier configurations that are no longer needed."""
    from skymill.prune import prune

    typer.echo(prune(results, delete=delete))


@app.command()
def verify(
    results: Results = DEFAULT_RESULTS,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Delete the manifests of damaged products, and damaged downloads."
        ),
    ] = False,
) -> None:
    """Check that every product, manifest, receipt and raw file is unchanged.

    The exit code is 1 when a file is damaged or missing, also after a repair.
    """
    from skymill.verify import verify

    verdict = verify(results, repair=repair)
    typer.echo(verdict.text())
    raise typer.Exit(0 if verdict.is_sound else 1)


@app.command()
def sizes(
    configfile: Annotated[
        Path | None, typer.Option(help="A configuration; config/config.yaml by default.")
    ] = None,
    mbit: Annotated[float, typer.Option(min=0.1, help="Download speed in Mbit/s.")] = 100,
    cores: Annotated[int, typer.Option(min=1, help="Number of cores.")] = 2,
) -> None:
    """Print the GB that each branch downloads, the time, and whether you need an account."""
    from skymill.command.sizes import sizes

    typer.echo(sizes(configfile, mbit=mbit, cores=cores))


def main() -> None:
    """Run a command. An error prints only its message."""
    try:
        app()
    except SkymillError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
