"""A Workflow RO-Crate of this release. It describes the repository and the workflow's language.

    python -m skymill.release_crate

writes `ro-crate-metadata.json` into the checkout. Authors, licence and date are from CITATION.cff.
The profile is https://w3id.org/workflowhub/workflow-ro-crate/1.0.
"""

import sys
from pathlib import Path

import skymill
from skymill.engine.errors import SkymillError
from skymill.engine.products import write_json
from skymill.engine.yaml_files import read_yaml

CRATE = "ro-crate-metadata.json"
WORKFLOW = "workflow/Snakefile"
PARTS = {
    "config/config.yaml": "Settings, each with its meaning",
    "config/sources.yaml": "The archives: addresses, licences, citations",
    "docs/data-dictionary.md": "Every file and its columns",
    "README.md": "What Skymill does and how it is run",
    "CITATION.cff": "How to cite Skymill",
    "LICENSE": "The licence",
}
"""Files that the crate describes, besides the workflow."""

_CRATE_PROFILE = "https://w3id.org/ro/crate/1.1"
_WORKFLOW_PROFILE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
_LANGUAGE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"


def describe_release(checkout: Path) -> dict:
    """Return the crate of a checkout as JSON-LD.

    Raises
    ------
    SkymillError
        When a file that the crate describes is missing.
    """
    for name in (WORKFLOW, *PARTS):
        if not (checkout / name).is_file():
            raise SkymillError(f"{checkout / name} is missing. Run this in a complete checkout.")
    cited = read_yaml(checkout / "CITATION.cff")
    licence = f"https://spdx.org/licenses/{cited['license']}"
    authors = [
        {"@id": f"#author-{number}", **_author(author)}
        for number, author in enumerate(cited["authors"], start=1)
    ]
    creators = [{"@id": author["@id"]} for author in authors]
    graph = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "conformsTo": [{"@id": _CRATE_PROFILE}, {"@id": _WORKFLOW_PROFILE}],
            "about": {"@id": "./"},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"{cited['title']} {skymill.__version__}",
            "description": cited["abstract"].strip(),
            "datePublished": str(cited["date-released"]),
            "keywords": cited["keywords"],
            "license": {"@id": licence},
            "author": creators,
            "mainEntity": {"@id": WORKFLOW},
            "hasPart": [{"@id": name} for name in (WORKFLOW, *PARTS)],
        },
        {
            "@id": WORKFLOW,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": cited["title"],
            "version": skymill.__version__,
            "license": {"@id": licence},
            "creator": creators,
            "programmingLanguage": {"@id": _LANGUAGE},
        },
        {
            "@id": _LANGUAGE,
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "identifier": {"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
            "url": {"@id": "https://snakemake.github.io"},
        },
        {"@id": licence, "@type": "CreativeWork", "name": cited["license"]},
        *authors,
        *({"@id": name, "@type": "File", "description": text} for name, text in PARTS.items()),
    ]
    return {"@context": f"{_CRATE_PROFILE}/context", "@graph": graph}


def _author(author: dict) -> dict:
    """Return an author of CITATION.cff: an entity has one name, a person has two."""
    if "name" in author:
        return {"@type": "Organization", "name": author["name"]}
    name = f"{author.get('given-names', '')} {author.get('family-names', '')}".strip()
    return {"@type": "Person", "name": name}


def main() -> int:
    """Write the crate of this checkout."""
    checkout = Path(__file__).resolve().parents[3]
    try:
        write_json(checkout / CRATE, describe_release(checkout))
    except SkymillError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{checkout / CRATE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
