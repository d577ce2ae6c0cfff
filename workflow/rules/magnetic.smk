# The magnetic branch: makes engineered splits that share no time step from raw JSON lines or from
# windows of SWAN-SF.
# Catalogue (ingest), plan (ids, regions, splits), materialise (clean, augmented, features).


rule ingest_magnetic:
    """Parse and check every line of a raw file; write values, catalogue and quarantine."""
    input:
        raw=given(magnetic_file),
        receipt=lambda wildcards: paths.RAW_RECEIPT.format(file=RAW.magnetic(wildcards.partition)),
    output:
        values=directory(paths.VALUES),
        catalogue=paths.CATALOGUE,
        quarantine=paths.QUARANTINE,
        manifest=manifest(paths.VALUES),
    log:
        f"{LOGS}/ingest_magnetic/{{partition}}.log",
    wildcard_constraints:
        partition="|".join(CUP.files),
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL["magnetic"]
    resources:
        mem_mb=memory(1000, each=500),
        runtime=minutes(15, per_gb=5, of="raw"),
    params:
        **stage("ingest_magnetic.py", raw=magnetic_file),
        labelled=lambda wildcards: wildcards.partition in CUP.train,
    script:
        "../scripts/ingest_magnetic.py"


rule ingest_windows:
    """Make records of the windows of a SWAN-SF partition; reject windows without measurements."""
    input:
        unpack(window_inputs),
    output:
        catalogue=paths.CATALOGUE,
        fingerprints=paths.FINGERPRINTS,
        quarantine=paths.QUARANTINE,
        manifest=manifest(paths.CATALOGUE),
    log:
        f"{LOGS}/ingest_windows/{{partition}}.log",
    wildcard_constraints:
        partition="|".join(SWAN.train),
    localrule: True
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=1500,
    params:
        **stage("ingest_windows.py"),
    script:
        "../scripts/ingest_windows.py"


rule check_ingest:
    """Fail if a raw file lost too many lines or windows; name the first of them."""
    input:
        ingested=manifest(INGESTED),
        quarantine=ancient(paths.QUARANTINE),
    output:
        receipt=paths.ACCEPTED,
    log:
        f"{LOGS}/check_ingest/{{partition}}.log",
    localrule: True
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("check_ingest.py", also=limit(limits.rejected_lines)),
    script:
        "../scripts/check_ingest.py"


rule assign_ids:
    """Give every valid record of a collection a unique id."""
    input:
        catalogues=ancient(of_collection(paths.CATALOGUE)),
        manifests=of_collection(manifest(INGESTED)),
        checks=of_collection(paths.ACCEPTED),
    output:
        ids=paths.IDS,
        manifest=manifest(paths.IDS),
    log:
        f"{LOGS}/assign_ids/{{collection}}.log",
    localrule: True
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=1500,
    params:
        **stage("assign_ids.py", "collisions"),
    script:
        "../scripts/assign_ids.py"


rule write_clean:
    """Write every valid record of a collection under its final id, sorted."""
    input:
        unpack(clean_inputs),
    output:
        clean=directory(paths.CLEAN),
        manifest=manifest(paths.CLEAN),
    log:
        f"{LOGS}/write_clean/{{collection}}.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL["magnetic"]
    resources:
        mem_mb=memory(1000, each=700),
        runtime=minutes(15, per_gb=10, of="values" if INPUT is CUP else "steps"),
    params:
        **stage("write_clean.py", "magnetic.input", "magnetic.page_checksums"),
    script:
        "../scripts/write_clean.py"


rule find_regions:
    """Find the active regions: windows that share a time step, a HARP or a number belong together."""
    input:
        unpack(region_inputs),
    output:
        regions=paths.REGIONS,
        manifest=manifest(paths.REGIONS),
    log:
        f"{LOGS}/find_regions.log",
    localrule: True
    conda:
        "../../envs/magnetic.yaml"
    resources:
        # 12.8 million step hashes at full size, with the indices of their order.
        mem_mb=2500,
    params:
        **stage("find_regions.py", "magnetic.input"),
    script:
        "../scripts/find_regions.py"


rule check_regions:
    """Fail if a region is too large to be put into a split."""
    input:
        regions=manifest(paths.REGIONS),
    output:
        receipt=paths.REGIONS_ACCEPTED,
    log:
        f"{LOGS}/check_regions.log",
    localrule: True
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("check_regions.py", "split.unit", also=limit(limits.large_region)),
    script:
        "../scripts/check_regions.py"


rule plan_magnetic:
    """Plan the split and the augmentation of every record of the data set."""
    input:
        **made(ids=paths.IDS.format(collection="train"), regions=paths.REGIONS),
        checks=[paths.REGIONS_ACCEPTED],
    output:
        plan=paths.PLAN,
        manifest=manifest(paths.PLAN),
    log:
        f"{LOGS}/plan_magnetic.log",
    localrule: True
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=1500,
    params:
        **stage(
            "plan_magnetic.py",
            "seed",
            "augmentation",
            "magnetic.input",
            "magnetic.quiet_per_flare",
            *plan_keys(config),
        ),
    script:
        "../scripts/plan_magnetic.py"


rule check_leaks:
    """Look for leaks between splits, and for overlap with the test file."""
    input:
        unpack(leak_inputs),
    output:
        receipt=paths.LEAKS,
    log:
        f"{LOGS}/check_leaks.log",
    localrule: True
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=2500,
    params:
        **stage("check_leaks.py", "magnetic.input", "split.unit"),
    script:
        "../scripts/check_leaks.py"


rule augment_train:
    """Write the augmented set: the planned records, originals and synthetic copies."""
    input:
        **made(
            plan=paths.PLAN,
            ids=paths.IDS.format(collection="train"),
            clean=paths.CLEAN.format(collection="train"),
        ),
    output:
        augmented=directory(paths.AUGMENTED),
        manifest=manifest(paths.AUGMENTED),
    log:
        f"{LOGS}/augment_train.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL["magnetic"]
    resources:
        mem_mb=memory(1000, each=700),
        runtime=minutes(15, per_gb=10, of="clean"),
    params:
        **stage("augment_train.py", "seed", "magnetic.input", "split.augment"),
    script:
        "../scripts/augment_train.py"


rule check_conservation:
    """Compare the counts of all stages: lines read, records kept, dropped, planned and written."""
    input:
        ingested=of_collection(manifest(INGESTED)),
        ids=manifest(paths.IDS),
        clean=manifest(paths.CLEAN),
        planned=branch(
            lambda wildcards: wildcards.collection == "train",
            then=[manifest(paths.PLAN), manifest(paths.AUGMENTED)],
            otherwise=[],
        ),
    output:
        receipt=paths.CONSERVATION,
    log:
        f"{LOGS}/check_conservation/{{collection}}.log",
    localrule: True
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("check_conservation.py", also=limit(limits.dropped_records)),
    script:
        "../scripts/check_conservation.py"


rule write_features:
    """Write one engineered split."""
    input:
        unpack(feature_inputs),
    output:
        features=directory(paths.FEATURES),
        manifest=manifest(paths.FEATURES),
    log:
        f"{LOGS}/write_features/{{split}}.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL["magnetic"]
    resources:
        mem_mb=memory(1000, each=500),
        runtime=minutes(15, per_gb=10, of="store"),
    params:
        **stage("write_features.py", settings_of=feature_settings),
    script:
        "../scripts/write_features.py"


rule write_records:
    """Write one row for each record: split, fold, region, parent, class, missing steps."""
    input:
        **made(
            plan=paths.PLAN,
            ids=expand(paths.IDS, collection=COLLECTIONS),
            clean=expand(paths.CLEAN, collection=COLLECTIONS),
        ),
        checks=[paths.LEAKS, *expand(paths.CONSERVATION, collection=COLLECTIONS)],
    output:
        records=paths.RECORDS,
        manifest=manifest(paths.RECORDS),
    log:
        f"{LOGS}/write_records.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL["magnetic"]
    resources:
        mem_mb=memory(1000, each=500),
        runtime=minutes(15, per_gb=10, of="clean"),
    params:
        **stage("write_records.py", "magnetic.input"),
    script:
        "../scripts/write_records.py"


rule diagnose_magnetic:
    """Write a page about rejected lines, the reasons, and the effect on the classes."""
    input:
        ingested=expand(manifest(INGESTED), partition=RAW.partitions),
        swan_sf=expand(manifest(paths.SWAN_STEPS), swan_partition=SWAN_READ),
        ids=expand(manifest(paths.IDS), collection=COLLECTIONS),
        regions=manifest(paths.REGIONS),
        plan=manifest(paths.PLAN),
        features=expand(manifest(paths.FEATURES), split=MAGNETIC_SPLITS),
        catalogues=ancient(expand(paths.CATALOGUE, partition=RAW.partitions)),
        quarantines=ancient(expand(paths.QUARANTINE, partition=RAW.partitions)),
        leaks=paths.LEAKS,
    output:
        page=paths.DIAGNOSTICS,
        manifest=manifest(paths.DIAGNOSTICS),
    log:
        f"{LOGS}/diagnose_magnetic.log",
    localrule: True
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("diagnose_magnetic.py", "magnetic.input", *magnetic_keys(config)),
    script:
        "../scripts/diagnose_magnetic.py"


rule illustrate_magnetic:
    """Draw the section of the report about the magnetic records."""
    input:
        **made(
            ids=paths.IDS.format(collection="train"),
            plan=paths.PLAN,
            records=paths.RECORDS,
            clean=paths.CLEAN.format(collection="train"),
            augmented=paths.AUGMENTED,
            train=paths.FEATURES.format(split="train"),
        ),
        ingested=expand(manifest(INGESTED), partition=RAW.partitions),
        swan_sf=expand(manifest(paths.SWAN_STEPS), swan_partition=SWAN_READ),
        leaks=paths.LEAKS,
    output:
        section=section("magnetic", "Magnetic records"),
        manifest=manifest(paths.SECTION.format(branch="magnetic")),
    log:
        f"{LOGS}/illustrate_magnetic.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1500,
    params:
        **stage("illustrate_magnetic.py", "magnetic.input", *magnetic_keys(config)),
    script:
        "../scripts/illustrate_magnetic.py"


rule magnetic:
    """Every product of the magnetic branch."""
    input:
        every(rules.verify_raw.output, file=RAW.files("magnetic") if INPUT is CUP else []),
        every(rules.catalogue_swan_sf.output, swan_partition=SWAN_READ),
        every(rules.check_swan_sf.output, swan_partition=SWAN_READ),
        every(
            (rules.ingest_magnetic if INPUT is CUP else rules.ingest_windows).output,
            partition=RAW.partitions,
        ),
        every(rules.check_ingest.output, partition=RAW.partitions),
        every(rules.assign_ids.output, collection=COLLECTIONS),
        every(rules.write_clean.output, collection=COLLECTIONS),
        every(rules.find_regions.output),
        every(rules.check_regions.output),
        every(rules.plan_magnetic.output),
        every(rules.check_leaks.output),
        every(rules.augment_train.output),
        every(rules.check_conservation.output, collection=COLLECTIONS),
        every(rules.write_features.output, split=MAGNETIC_SPLITS),
        every(rules.write_records.output),
        every(rules.diagnose_magnetic.output),
        every(rules.illustrate_magnetic.output),
        every(rules.measure_magnetic.output),
        every(rules.write_card.output, data_set="magnetic_data"),


for FOLDER in (paths.MAGNETIC_DATA, f"{paths.MAGNETIC_DATA}/"):

    rule:
        """The engineered splits, the table of their records, statistics and card."""
        name:
            FOLDER
        input:
            every(rules.write_features.output, split=MAGNETIC_SPLITS),
            every(rules.write_records.output),
            every(rules.measure_magnetic.output),
            every(rules.write_card.output, data_set="magnetic_data"),
