# The auxiliary table: UCI "Solar Flare" (1989), which Kaggle has as a data set on stealth flares.


# Too small to wait for a cluster: they run where Snakemake does.
localrules:
    ingest_stealth,
    convert_stealth,


rule ingest_stealth:
    """Parse and check every line of the published CSV; keep rows and rejects."""
    input:
        raw=raw_path(paths.STEALTH_FILE),
        receipt=receipt_of(paths.STEALTH_FILE),
    output:
        rows=paths.STEALTH_ROWS,
        manifest=paths.manifest(paths.STEALTH_ROWS),
        quarantine=paths.STEALTH_QUARANTINE,
    log:
        "logs/ingest_stealth.log",
    conda:
        "../../envs/stealth.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("ingest_stealth.py"),
        repair=repair(paths.STEALTH_ROWS),
    script:
        "../scripts/ingest_stealth.py"


rule convert_stealth:
    """Write the typed table with the meanings of its codes, unless too many lines were rejected."""
    input:
        rows=paths.STEALTH_ROWS,
        manifest=paths.manifest(paths.STEALTH_ROWS),
        quarantine=paths.STEALTH_QUARANTINE,
    output:
        table=paths.STEALTH_TABLE,
        manifest=paths.manifest(paths.STEALTH_TABLE),
    log:
        "logs/convert_stealth.log",
    conda:
        "../../envs/stealth.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("convert_stealth.py"),
        repair=repair(paths.STEALTH_TABLE),
        config=settings("limits.max_rejected_fraction"),
    script:
        "../scripts/convert_stealth.py"
