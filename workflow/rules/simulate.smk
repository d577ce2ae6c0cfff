# `source: sample`: simulated raw files in the formats of the archives, below the results folder.


rule simulate_magnetic:
    """Write one raw file of magnetic records in the format of the 2020 data set."""
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
    """Write a zip like the download of SDOBenchmark, with the problems of the real zip."""
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
    """Write a partition of SWAN-SF: series of the magnetic records at the times of SDO samples."""
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
    """Write the CSV of the auxiliary table with the marginals of the real columns."""
    output:
        **simulated(skymill.paths.STEALTH_FILE),
    log:
        f"{LOGS}/simulate_stealth.log",
    localrule: True
    conda:
        "../../envs/stealth.yaml"
    resources:
        mem_mb=500,
    params:
        **simulation("simulate_stealth.py", "simulate.stealth"),
    script:
        "../scripts/simulate_stealth.py"


rule simulate_night:
    """Write a night's tarball of ZTF alerts, with the problems of real tarballs."""
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
        # The date decides the problems of a night, so one more night does not change other nights.
        place=lambda wildcards: days_since_first_public(wildcards.night),
    script:
        "../scripts/simulate_night.py"


rule simulate_ztf_labels:
    """Write the tarball of labels in the form that ALeRCE published."""
    output:
        **simulated(skymill.paths.ZTF_LABELS_ARCHIVE),
    log:
        f"{LOGS}/simulate_ztf_labels.log",
    localrule: True
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=1000,
    params:
        **simulation("simulate_ztf_labels.py", "simulate.ztf"),
    script:
        "../scripts/simulate_ztf_labels.py"
