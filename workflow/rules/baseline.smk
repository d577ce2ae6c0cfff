# Scores of simple models for each unit of split, which show a leak as a number. The baseline is not
# part of the default target: run `snakemake baseline`.


rule describe_records:
    """Describe each training record, and each copy that may be made of it, by statistics."""
    input:
        **made(
            ids=paths.IDS.format(collection="train"),
            clean=paths.CLEAN.format(collection="train"),
        ),
    output:
        statistics=paths.RECORD_STATISTICS,
        manifest=manifest(paths.RECORD_STATISTICS),
    log:
        f"{LOGS}/describe_records.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL["magnetic"]
    resources:
        # All statistics, twice: 1.2 kB per record of 2020.
        mem_mb=memory(2500, each=500),
        runtime=minutes(15, per_gb=10, of="clean"),
    params:
        **stage("describe_records.py", "seed", "augmentation", "magnetic.input"),
    script:
        "../scripts/describe_records.py"


rule describe_stamps:
    """Describe the stamps of each alert by statistics."""
    input:
        **made(stamps=paths.ZTF_STAMPS),
        array=ancient(paths.ZTF_STAMPS_ARRAY),
    output:
        statistics=paths.STAMP_STATISTICS,
        manifest=manifest(paths.STAMP_STATISTICS),
    log:
        f"{LOGS}/describe_stamps.log",
    conda:
        "../../envs/ztf.yaml"
    threads: PARALLEL["ztf"]
    resources:
        mem_mb=memory(1500, each=600),
        runtime=minutes(30, per_gb=5, of="array"),
    params:
        **stage("describe_stamps.py"),
    script:
        "../scripts/describe_stamps.py"


rule score_baseline:
    """Fit simple models under splits by region, record and file, and score them."""
    input:
        **BASELINE_INPUTS,
    output:
        scores=paths.BASELINE_SCORES,
        table=paths.BASELINE_TABLE,
        page=paths.BASELINE_PAGE,
        manifest=manifest(paths.BASELINE_SCORES),
    log:
        f"{LOGS}/score_baseline.log",
    conda:
        "../../envs/magnetic.yaml"
    # Each process has all statistics and copies of them, so more than four processes need too much
    # memory.
    threads: min(4, max(PARALLEL["magnetic"], PARALLEL["ztf"]))
    resources:
        mem_mb=memory(2000, each=3000),
        runtime=minutes(120),
    params:
        **stage(
            "score_baseline.py",
            "seed",
            "augmentation",
            "baseline",
            "magnetic.quiet_per_flare",
            "split.fractions",
            "split.partitions",
            "ztf.split",
            "labels.map",
            "labels.other",
        ),
    script:
        "../scripts/score_baseline.py"


rule baseline:
    """The scores of simple models."""
    input:
        every(rules.score_baseline.output),
