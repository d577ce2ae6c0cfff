# `source: sample`: raw files in the archives' own formats. They stand under data/sample/raw/ and
# nowhere else, because Snakemake deletes a rule's outputs before it runs the rule again.


rule simulate_magnetic:
    """Write one raw file of magnetic records in the 2020 data set's format."""
    output:
        raw=paths.RAW["sample"],
        sidecar=paths.RAW["sample"] + ".source.json",
    log:
        "logs/simulate_magnetic/{partition}.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL
    resources:
        mem_mb=2000,
    params:
        code=code_digest("simulate_magnetic.py"),
        config=settings("simulate"),
    script:
        "../scripts/simulate_magnetic.py"
