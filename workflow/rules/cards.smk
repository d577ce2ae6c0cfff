# Descriptions of the data sets: statistics of the training data, a card, and Croissant metadata.


rule measure_magnetic:
    """Measure the engineered columns of the original training records, and count their classes."""
    input:
        **made(train=paths.FEATURES.format(split="train"), records=paths.RECORDS),
    output:
        statistics=paths.MAGNETIC_STATISTICS,
        manifest=manifest(paths.MAGNETIC_STATISTICS),
    log:
        f"{LOGS}/measure_magnetic.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL["magnetic"]
    resources:
        # A column of all training records, the values of the originals, and the sorted values.
        mem_mb=memory(1000, each=700),
        runtime=minutes(15, per_gb=10, of="train"),
    params:
        **stage("measure_magnetic.py"),
    script:
        "../scripts/measure_magnetic.py"


rule measure_sdo:
    """Measure the good images of the training samples by channel, and count their classes."""
    input:
        **TRAINING_TENSOR_INPUTS,
        **made(plan=paths.SDO_PLAN),
    output:
        statistics=paths.SDO_STATISTICS,
        manifest=manifest(paths.SDO_STATISTICS),
    log:
        f"{LOGS}/measure_sdo.log",
    conda:
        "../../envs/sdo.yaml"
    threads: PARALLEL["sdo"]
    resources:
        mem_mb=memory(1000, each=300),
        runtime=minutes(60),
    params:
        **stage("measure_sdo.py"),
    script:
        "../scripts/measure_sdo.py"


rule measure_aligned:
    """Measure parameters and engineered columns of the training pairs, and count their classes."""
    input:
        **made(train=paths.ALIGNED_DATA.format(aligned_split="train")),
    output:
        statistics=paths.ALIGNED_STATISTICS,
        manifest=manifest(paths.ALIGNED_STATISTICS),
    log:
        f"{LOGS}/measure_aligned.log",
    localrule: True
    conda:
        "../../envs/aligned.yaml"
    resources:
        mem_mb=1500,
    params:
        **stage("measure_aligned.py"),
    script:
        "../scripts/measure_aligned.py"


rule measure_ztf:
    """Measure the stamps of the training alerts by kind, and count their classes."""
    input:
        **made(stamps=paths.ZTF_STAMPS),
        array=ancient(paths.ZTF_STAMPS_ARRAY),
    output:
        statistics=paths.ZTF_STATISTICS,
        manifest=manifest(paths.ZTF_STATISTICS),
    log:
        f"{LOGS}/measure_ztf.log",
    conda:
        "../../envs/ztf.yaml"
    threads: PARALLEL["ztf"]
    resources:
        mem_mb=memory(1000, each=500),
        runtime=minutes(30, per_gb=5, of="array"),
    params:
        **stage("measure_ztf.py"),
    script:
        "../scripts/measure_ztf.py"


rule write_card:
    """Write the card of a data set, and Croissant metadata with the same contents for programs."""
    input:
        unpack(lambda wildcards: CARD_INPUTS[DATA_SETS[wildcards.data_set]]),
    output:
        card=paths.CARD,
        croissant=paths.CROISSANT,
        manifest=manifest(paths.CARD),
    log:
        f"{LOGS}/write_card/{{data_set}}.log",
    localrule: True
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("write_card.py", settings_of=card_settings),
    script:
        "../scripts/write_card.py"
