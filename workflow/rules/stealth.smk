# The auxiliary table: UCI "Solar Flare" (1989), which Kaggle has as a data set on stealth flares.


rule ingest_stealth:
    """Parse and check every line of the published CSV; write rows and quarantine."""
    input:
        raw=given(stealth_file),
        receipt=paths.RAW_RECEIPT.format(file=RAW.stealth),
    output:
        rows=paths.STEALTH_ROWS,
        quarantine=paths.STEALTH_QUARANTINE,
        manifest=manifest(paths.STEALTH_ROWS),
    log:
        f"{LOGS}/ingest_stealth.log",
    localrule: True
    conda:
        "../../envs/stealth.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("ingest_stealth.py", raw=stealth_file),
    script:
        "../scripts/ingest_stealth.py"


rule convert_stealth:
    """Write the typed table with the meanings of its codes. Fail if too many lines were rejected."""
    input:
        **made(rows=paths.STEALTH_ROWS),
        quarantine=ancient(paths.STEALTH_QUARANTINE),
    output:
        table=paths.STEALTH_TABLE,
        manifest=manifest(paths.STEALTH_TABLE),
    log:
        f"{LOGS}/convert_stealth.log",
    localrule: True
    conda:
        "../../envs/stealth.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("convert_stealth.py", also=limit(limits.rejected_rows)),
    script:
        "../scripts/convert_stealth.py"


rule illustrate_stealth:
    """Draw the section of the report about the auxiliary table."""
    input:
        **made(table=paths.STEALTH_TABLE),
        rows=manifest(paths.STEALTH_ROWS),
    output:
        section=section("stealth", "Stealth flares"),
        manifest=manifest(paths.SECTION.format(branch="stealth")),
    log:
        f"{LOGS}/illustrate_stealth.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
    params:
        **stage("illustrate_stealth.py"),
    script:
        "../scripts/illustrate_stealth.py"


rule stealth:
    """Every product of the auxiliary table."""
    input:
        every(rules.verify_raw.output, file=RAW.files("stealth")),
        every(rules.ingest_stealth.output),
        every(rules.convert_stealth.output),
        every(rules.illustrate_stealth.output),
