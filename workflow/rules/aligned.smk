# The aligned branch: magnetic series and solar images of one region at one time.
# Keys of steps, plan (locate records, join samples, splits), materialise (pairs, figure, report).


rule key_records:
    """Compute keys of the steps of a magnetic file from the parameters shared with SWAN-SF."""
    input:
        **made(values=paths.VALUES),
        checks=[paths.ACCEPTED],
    output:
        table=paths.RECORD_KEYS,
        manifest=manifest(paths.RECORD_KEYS),
    log:
        f"{LOGS}/key_records/{{partition}}.log",
    conda:
        "../../envs/aligned.yaml"
    threads: PARALLEL["aligned"]
    resources:
        mem_mb=memory(1000, each=300),
        runtime=minutes(15, per_gb=5, of="values"),
    params:
        **stage("key_records.py"),
    script:
        "../scripts/key_records.py"


rule key_swan_sf:
    """Compute keys of the distinct steps of SWAN-SF's partitions from the shared parameters."""
    input:
        **made(steps=expand(paths.SWAN_STEPS, swan_partition=RAW.swan_partitions)),
        checks=expand(paths.SWAN_ACCEPTED, swan_partition=RAW.swan_partitions),
    output:
        tables=expand(paths.SWAN_KEYS, swan_partition=RAW.swan_partitions),
        manifest=expand(manifest(paths.SWAN_KEYS), swan_partition=RAW.swan_partitions),
    log:
        f"{LOGS}/key_swan_sf.log",
    localrule: True
    conda:
        "../../envs/aligned.yaml"
    resources:
        mem_mb=1500,
    params:
        **stage("key_swan_sf.py"),
    script:
        "../scripts/key_swan_sf.py"


rule locate_records:
    """Find the time and HARP of the magnetic records: each step votes by its values."""
    input:
        **made(
            ids=expand(paths.IDS, collection=TO_LOCATE),
            record_keys=expand(paths.RECORD_KEYS, partition=PARTITIONS_TO_LOCATE),
            step_keys=expand(paths.SWAN_KEYS, swan_partition=RAW.swan_partitions),
            **VALUES_TO_LOCATE,
        ),
    output:
        record_times=paths.RECORD_TIMES,
        manifest=manifest(paths.RECORD_TIMES),
    log:
        f"{LOGS}/locate_records.log",
    localrule: True
    conda:
        "../../envs/aligned.yaml"
    resources:
        # 12.8 million steps of records and 2 million of SWAN-SF, two keys each.
        mem_mb=2500,
    params:
        **stage("locate_records.py", "aligned.locate_test_file", "aligned.nearest_tier"),
    script:
        "../scripts/locate_records.py"


rule plan_aligned:
    """Join image samples with magnetic series; decide groups and splits."""
    input:
        **RECORD_TIME_INPUTS,
        **made(
            samples=paths.SDO_SAMPLES,
            plan=paths.SDO_PLAN,
            step_keys=expand(paths.SWAN_KEYS, swan_partition=RAW.swan_partitions),
        ),
        catalogued=expand(manifest(paths.SWAN_STEPS), swan_partition=RAW.swan_partitions),
        windows=ancient(expand(paths.SWAN_WINDOWS, swan_partition=RAW.swan_partitions)),
    output:
        pairs=paths.PAIRS,
        without_partner=paths.WITHOUT_PARTNER,
        manifest=manifest(paths.PAIRS),
    log:
        f"{LOGS}/plan_aligned.log",
    localrule: True
    conda:
        "../../envs/aligned.yaml"
    resources:
        mem_mb=1500,
    params:
        **stage("plan_aligned.py", "seed", "aligned.follow_official", "aligned.split"),
    script:
        "../scripts/plan_aligned.py"


rule check_aligned:
    """Fail if a group of regions is in two splits, or if a split is empty."""
    input:
        pairs=manifest(paths.PAIRS),
    output:
        receipt=paths.PAIRS_ACCEPTED,
    log:
        f"{LOGS}/check_aligned.log",
    localrule: True
    conda:
        "../../envs/aligned.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("check_aligned.py", "aligned.follow_official", "aligned.split"),
    script:
        "../scripts/check_aligned.py"


rule write_aligned:
    """Write the pairs of each split with their series; images stay in the tensors."""
    input:
        **TENSOR_INPUTS,
        **made(
            pairs=paths.PAIRS,
            samples=paths.SDO_SAMPLES,
            steps=expand(paths.SWAN_STEPS, swan_partition=RAW.swan_partitions),
        ),
        checks=[paths.PAIRS_ACCEPTED],
    output:
        splits=directory(expand(paths.ALIGNED_DATA, aligned_split=ALIGNED_SPLITS)),
        manifest=expand(manifest(paths.ALIGNED_DATA), aligned_split=ALIGNED_SPLITS),
    log:
        f"{LOGS}/write_aligned.log",
    localrule: True
    conda:
        "../../envs/aligned.yaml"
    resources:
        mem_mb=1500,
    params:
        **stage("write_aligned.py", "features"),
    script:
        "../scripts/write_aligned.py"


rule report_aligned:
    """Write a page about located records, pairs, and the agreement of the labels."""
    input:
        **RECORD_TIME_INPUTS,
        **made(pairs=paths.PAIRS),
        catalogued=expand(manifest(paths.SWAN_STEPS), swan_partition=RAW.swan_partitions),
        windows=ancient(expand(paths.SWAN_WINDOWS, swan_partition=RAW.swan_partitions)),
        checks=[paths.PAIRS_ACCEPTED],
    output:
        page=paths.ALIGNED_REPORT,
        manifest=manifest(paths.ALIGNED_REPORT),
    log:
        f"{LOGS}/report_aligned.log",
    localrule: True
    conda:
        "../../envs/aligned.yaml"
    resources:
        mem_mb=1000,
    params:
        **stage("report_aligned.py", "seed"),
    script:
        "../scripts/report_aligned.py"


rule illustrate_aligned:
    """Draw the section of the report about the aligned pairs, and one pair as a figure."""
    input:
        **RECORD_TIME_INPUTS,
        **TENSOR_INPUTS,
        **made(
            pairs=paths.PAIRS,
            steps=expand(paths.SWAN_STEPS, swan_partition=RAW.swan_partitions),
        ),
        windows=ancient(expand(paths.SWAN_WINDOWS, swan_partition=RAW.swan_partitions)),
        checks=[paths.PAIRS_ACCEPTED],
    output:
        section=section("aligned", "Aligned pairs"),
        figure=paths.ALIGNED_FIGURE,
        manifest=manifest([paths.SECTION.format(branch="aligned"), paths.ALIGNED_FIGURE]),
    log:
        f"{LOGS}/illustrate_aligned.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
    params:
        **stage("illustrate_aligned.py", "seed"),
    script:
        "../scripts/illustrate_aligned.py"


rule aligned:
    """Every product of the aligned branch."""
    input:
        rules.swan_sf.input,
        every(rules.key_records.output, partition=PARTITIONS_TO_LOCATE),
        every(rules.key_swan_sf.output),
        every(rules.locate_records.output) if PARTITIONS_TO_LOCATE else [],
        every(rules.plan_aligned.output),
        every(rules.check_aligned.output),
        every(rules.write_aligned.output),
        every(rules.report_aligned.output),
        every(rules.illustrate_aligned.output),
        every(rules.measure_aligned.output),
        every(rules.write_card.output, data_set="aligned"),
