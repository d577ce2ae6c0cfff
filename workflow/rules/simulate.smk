# `source: sample`: raw files in the archives' own formats, below the results folder.


# Too small to wait for a cluster: they run where Snakemake does.
localrules:
    simulate_stealth,
    simulate_ztf_labels,


rule simulate_magnetic:
    """Write one raw file of magnetic records in the 2020 data set's format."""
    output:
        **simulated(skymill.paths.MAGNETIC_FILE),
    log:
        f"{LOGS}/simulate_magnetic/{{partition}}.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL["magnetic"]
    resources:
        mem_mb=memory(1000, each=300),
        runtime=minutes(60),
    params:
        **simulation("simulate_magnetic.py", "simulate.magnetic"),
    script:
        "../scripts/simulate_magnetic.py"


rule simulate_sdo:
    """Write a download of SDOBenchmark: one zip, with the odd things that the real one holds."""
    output:
        **simulated(skymill.paths.SDO_FILE),
    log:
        f"{LOGS}/simulate_sdo.log",
    conda:
        "../../envs/sdo.yaml"
    threads: PARALLEL["sdo"]
    resources:
        # The directory of a zip of 1.2 million files takes 500 MB.
        mem_mb=memory(1500, each=300),
        runtime=minutes(60),
    params:
        **simulation("simulate_sdo.py", "simulate.sdo"),
    script:
        "../scripts/simulate_sdo.py"


rule simulate_swan_sf:
    """Write a partition of SWAN-SF: series of the magnetic records, at the times of SDO samples."""
    output:
        **simulated(skymill.paths.SWAN_FILE),
    log:
        f"{LOGS}/simulate_swan_sf/{{swan_partition}}.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL["aligned"]
    resources:
        mem_mb=memory(1000, each=300),
        runtime=minutes(60),
    params:
        **simulation("simulate_swan_sf.py", "simulate.magnetic", "simulate.sdo", "simulate.swan_sf"),
    script:
        "../scripts/simulate_swan_sf.py"


rule simulate_stealth:
    """Write the auxiliary table's CSV with the real columns' marginals."""
    output:
        **simulated(skymill.paths.STEALTH_FILE),
    log:
        f"{LOGS}/simulate_stealth.log",
    conda:
        "../../envs/stealth.yaml"
    resources:
        mem_mb=500,
    params:
        **simulation("simulate_stealth.py", "simulate.stealth"),
    script:
        "../scripts/simulate_stealth.py"


rule simulate_night:
    """Write a night's tarball of ZTF alerts, with the odd packets that real ones hold."""
    output:
        **simulated(skymill.paths.ZTF_NIGHT_FILE),
    log:
        f"{LOGS}/simulate_night/{{night}}.log",
    conda:
        "../../envs/ztf.yaml"
    threads: PARALLEL["ztf"]
    resources:
        mem_mb=memory(1000, each=300),
        runtime=minutes(60),
    params:
        **simulation("simulate_night.py", "simulate.ztf"),
        # What is odd about a night follows from its date: one more changes no other.
        place=lambda wildcards: days_since_first_public(wildcards.night),
    script:
        "../scripts/simulate_night.py"


rule simulate_ztf_labels:
    """Write the tarball of labels as ALeRCE published it."""
    output:
        **simulated(skymill.paths.ZTF_LABELS_ARCHIVE),
    log:
        f"{LOGS}/simulate_ztf_labels.log",
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=1000,
    params:
        **simulation("simulate_ztf_labels.py", "simulate.ztf"),
    script:
        "../scripts/simulate_ztf_labels.py"
