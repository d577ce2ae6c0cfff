# Raw files: download them, and check and hash each file before it is read. Only the rule `retrieve`
# uses the network.


rule retrieve:
    """Fetch a raw file from its archive, or from the cache of earlier downloads.

    Only its name and the pinned version make a download stale. So the digest of the code, checksums
    and lists of checksums are not parameters or inputs of this rule.
    """
    output:
        raw=f"{skymill.paths.SHARED_RAW}/{{file}}",
        sidecar=f"{skymill.paths.SHARED_RAW}/{{file}}.source.json",
    log:
        f"{LOGS}/retrieve/{{file}}.log",
    wildcard_constraints:
        # Never a user's own file, because Snakemake deletes outputs before it makes them.
        file=RAW.fetchable(),
    # Nodes of a cluster often have no internet.
    localrule: True
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
    """Check and hash a raw file, and record its source."""
    input:
        raw=given(raw_file),
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
        **stage(
            "verify_raw.py",
            raw=raw_file,
            enforced=lambda wildcards: RAW.is_enforced(wildcards.file),
        ),
    script:
        "../scripts/verify_raw.py"
