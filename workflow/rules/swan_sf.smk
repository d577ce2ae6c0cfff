# SWAN-SF: makes tables of windows and distinct steps from the tarballs of the partitions.


rule catalogue_swan_sf:
    """Read and hash a partition as a stream; write its windows, distinct steps and problems."""
    input:
        raw=given(swan_file),
        sidecar=ancient(lambda wildcards: RAW.sidecar(RAW.swan(wildcards.swan_partition))),
    output:
        steps=paths.SWAN_STEPS,
        windows=paths.SWAN_WINDOWS,
        quarantine=paths.SWAN_QUARANTINE,
        manifest=manifest(paths.SWAN_STEPS),
    log:
        f"{LOGS}/catalogue_swan_sf/{{swan_partition}}.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: 2 if PARALLEL["aligned"] > 1 else 1
    resources:
        # The distinct steps of a partition, while they are sorted: 500,000 steps of 250 bytes.
        mem_mb=memory(2000, each=200),
        runtime=minutes(15, per_gb=10, of="raw"),
    params:
        **stage(
            "catalogue_swan_sf.py",
            raw=swan_file,
            enforced=lambda wildcards: RAW.is_enforced(RAW.swan(wildcards.swan_partition)),
        ),
        file=lambda wildcards: RAW.swan(wildcards.swan_partition),
    script:
        "../scripts/catalogue_swan_sf.py"


rule check_swan_sf:
    """Fail if a partition lost too many windows; name the first of them."""
    input:
        steps=manifest(paths.SWAN_STEPS),
        quarantine=ancient(paths.SWAN_QUARANTINE),
    output:
        receipt=paths.SWAN_ACCEPTED,
    log:
        f"{LOGS}/check_swan_sf/{{swan_partition}}.log",
    localrule: True
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("check_swan_sf.py", also=limit(limits.lost_windows)),
    script:
        "../scripts/check_swan_sf.py"


rule swan_sf:
    """The catalogue of SWAN-SF."""
    input:
        every(rules.catalogue_swan_sf.output, swan_partition=RAW.swan_partitions),
        every(rules.check_swan_sf.output, swan_partition=RAW.swan_partitions),
