# `source: sample`: raw files in the archives' own formats. They stand under data/sample/raw/ and
# nowhere else, because Snakemake deletes a rule's outputs before it runs the rule again.


# Too small to wait for a cluster: they run where Snakemake does.
localrules:
    simulate_stealth,
    simulate_ztf_labels,


rule simulate_magnetic:
    """Write one raw file of magnetic records in the 2020 data set's format."""
    output:
        raw=f"{paths.RAW_FOLDER['sample']}/{paths.MAGNETIC_FILE}",
        sidecar=f"{paths.RAW_FOLDER['sample']}/{paths.MAGNETIC_FILE}.source.json",
    log:
        "logs/simulate_magnetic/{partition}.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL
    resources:
        mem_mb=memory(1000, each=300),
        runtime=minutes(60),
    params:
        code=code_digest("simulate_magnetic.py"),
        config=settings("simulate.magnetic"),
    script:
        "../scripts/simulate_magnetic.py"


rule simulate_sdo:
    """Write a download of SDOBenchmark: one zip, with the odd things that the real one holds."""
    output:
        raw=f"{paths.RAW_FOLDER['sample']}/{paths.SDO_FILE}",
        sidecar=f"{paths.RAW_FOLDER['sample']}/{paths.SDO_FILE}.source.json",
    log:
        "logs/simulate_sdo.log",
    conda:
        "../../envs/sdo.yaml"
    threads: PARALLEL
    resources:
        # The directory of a zip of 1.2 million files takes 500 MB.
        mem_mb=memory(1500, each=300),
        runtime=minutes(60),
    params:
        code=code_digest("simulate_sdo.py"),
        config=settings("simulate.sdo"),
    script:
        "../scripts/simulate_sdo.py"


rule simulate_stealth:
    """Write the auxiliary table's CSV with the real columns' marginals."""
    output:
        raw=f"{paths.RAW_FOLDER['sample']}/{paths.STEALTH_FILE}",
        sidecar=f"{paths.RAW_FOLDER['sample']}/{paths.STEALTH_FILE}.source.json",
    log:
        "logs/simulate_stealth.log",
    conda:
        "../../envs/stealth.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("simulate_stealth.py"),
        config=settings("simulate.stealth"),
    script:
        "../scripts/simulate_stealth.py"


rule simulate_night:
    """Write a night's tarball of ZTF alerts, with the odd packets that real ones hold."""
    output:
        raw=f"{paths.RAW_FOLDER['sample']}/{paths.ZTF_NIGHT_FILE}",
        sidecar=f"{paths.RAW_FOLDER['sample']}/{paths.ZTF_NIGHT_FILE}.source.json",
    log:
        "logs/simulate_night/{night}.log",
    conda:
        "../../envs/ztf.yaml"
    threads: PARALLEL
    resources:
        mem_mb=memory(1000, each=300),
        runtime=minutes(60),
    params:
        code=code_digest("simulate_night.py"),
        config=settings("simulate.ztf"),
        # What is odd about a night follows from its date: one more changes no other.
        place=lambda wildcards: days_since_first_public(wildcards.night),
    script:
        "../scripts/simulate_night.py"


rule simulate_ztf_labels:
    """Write the tarball of labels as ALeRCE published it."""
    output:
        raw=f"{paths.RAW_FOLDER['sample']}/{paths.ZTF_LABELS_ARCHIVE}",
        sidecar=f"{paths.RAW_FOLDER['sample']}/{paths.ZTF_LABELS_ARCHIVE}.source.json",
    log:
        "logs/simulate_ztf_labels.log",
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=1000,
    params:
        code=code_digest("simulate_ztf_labels.py"),
        config=settings("simulate.ztf"),
    script:
        "../scripts/simulate_ztf_labels.py"
