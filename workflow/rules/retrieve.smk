# Raw files, fetched or put there by hand, and what is known of each before it is read. All network
# access of the workflow is in `retrieve`.


# Cluster nodes often have no way out to the internet: where Snakemake runs there is one.
localrules:
    retrieve,


rule retrieve:
    """Fetch a raw file from its archive, or take it from the cache of what was fetched before.

    Nothing but its name and the pinned version makes a download stale: no digest of the code, no
    checksum, no list of checksums is a parameter or an input here.
    """
    output:
        raw=f"{skymill.paths.SHARED_RAW}/{{file}}",
        sidecar=f"{skymill.paths.SHARED_RAW}/{{file}}.source.json",
    log:
        f"{LOGS}/retrieve/{{file}}.log",
    wildcard_constraints:
        # Never a file that the user put there: Snakemake deletes outputs before it makes them.
        file=RAW.fetchable(),
    conda:
        "../../envs/retrieve.yaml"
    resources:
        downloads=1,
        mem_mb=500,
    params:
        version=lambda wildcards: find_source(REGISTRY, wildcards.file).version,
    script:
        "../scripts/retrieve.py"


rule verify_raw:
    """Check what a raw file is, hash it, and write down where it came from."""
    input:
        raw=lambda wildcards: RAW.path(wildcards.file),
        sidecar=ancient(lambda wildcards: RAW.sidecar(wildcards.file)),
    output:
        receipt=paths.RAW_RECEIPT,
    log:
        f"{LOGS}/verify_raw/{{file}}.log",
    wildcard_constraints:
        file=RAW.patterns(),
    conda:
        "../../envs/retrieve.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10, per_gb=1, of="raw"),
    params:
        **stage("verify_raw.py", also=same_raw),
        enforced=lambda wildcards: RAW.is_enforced(wildcards.file),
    script:
        "../scripts/verify_raw.py"
