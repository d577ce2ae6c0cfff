# The magnetic branch: raw JSON lines to leak-free, engineered splits.
# Catalogue (ingest), plan (ids, regions, splits), materialise (clean, augmented, features).


# Too small to wait for a cluster: they run where Snakemake does.
localrules:
    check_ingest,
    assign_ids,
    find_regions,
    check_regions,
    plan_magnetic,
    check_leaks,
    check_conservation,
    diagnose_magnetic,


rule ingest_magnetic:
    """Parse and check every line of a raw file; keep values, catalogue and rejects."""
    input:
        raw=lambda wildcards: raw_path(paths.MAGNETIC_FILE.format(**wildcards)),
        receipt=lambda wildcards: receipt_of(paths.MAGNETIC_FILE.format(**wildcards)),
    output:
        values=directory(paths.VALUES),
        manifest=paths.manifest(paths.VALUES),
        catalogue=paths.CATALOGUE,
        quarantine=paths.QUARANTINE,
    log:
        "logs/ingest_magnetic/{partition}.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL
    resources:
        mem_mb=memory(1000, each=500),
        runtime=minutes(15, per_gb=5, of="raw"),
    params:
        code=code_digest("ingest_magnetic.py"),
        repair=repair(paths.VALUES),
        labelled=lambda wildcards: wildcards.partition in TRAIN_PARTITIONS,
    script:
        "../scripts/ingest_magnetic.py"


rule check_ingest:
    """Fail when a raw file lost too many lines, naming the first of them."""
    input:
        manifest=paths.manifest(paths.VALUES),
        quarantine=paths.QUARANTINE,
    output:
        receipt=paths.ACCEPTED,
    log:
        "logs/check_ingest/{partition}.log",
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("check_ingest.py"),
        repair=repair(paths.ACCEPTED),
        config=settings("limits.max_rejected_fraction"),
    script:
        "../scripts/check_ingest.py"


rule assign_ids:
    """Give every valid record of a collection an id of its own."""
    input:
        catalogues=lambda wildcards: expand(
            paths.CATALOGUE, partition=COLLECTIONS[wildcards.collection]
        ),
        manifests=lambda wildcards: expand(
            paths.manifest(paths.VALUES), partition=COLLECTIONS[wildcards.collection]
        ),
        # The check has to pass first.
        gates=lambda wildcards: expand(paths.ACCEPTED, partition=COLLECTIONS[wildcards.collection]),
    output:
        ids=paths.IDS,
        manifest=paths.manifest(paths.IDS),
    log:
        "logs/assign_ids/{collection}.log",
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=1500,
    params:
        code=code_digest("assign_ids.py"),
        repair=repair(paths.IDS),
        config=settings("collisions"),
    script:
        "../scripts/assign_ids.py"


rule write_clean:
    """Write every valid record of a collection under its final id, sorted."""
    input:
        ids=paths.IDS,
        ids_manifest=paths.manifest(paths.IDS),
        values=lambda wildcards: expand(paths.VALUES, partition=COLLECTIONS[wildcards.collection]),
        manifests=lambda wildcards: expand(
            paths.manifest(paths.VALUES), partition=COLLECTIONS[wildcards.collection]
        ),
    output:
        clean=directory(paths.CLEAN),
        manifest=paths.manifest(paths.CLEAN),
    log:
        "logs/write_clean/{collection}.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL
    resources:
        mem_mb=memory(1000, each=700),
        runtime=minutes(15, per_gb=10, of="values"),
    params:
        code=code_digest("write_clean.py"),
        repair=repair(paths.CLEAN),
    script:
        "../scripts/write_clean.py"


rule find_regions:
    """Recover the active regions: windows that share a time step belong together."""
    input:
        ids=expand(paths.IDS, collection="train"),
        ids_manifest=expand(paths.manifest(paths.IDS), collection="train"),
        values=expand(paths.VALUES, partition=TRAIN_PARTITIONS),
        manifests=expand(paths.manifest(paths.VALUES), partition=TRAIN_PARTITIONS),
    output:
        regions=paths.REGIONS,
        manifest=paths.manifest(paths.REGIONS),
    log:
        "logs/find_regions.log",
    conda:
        "../../envs/magnetic.yaml"
    resources:
        # 12.8 million step hashes at full size, with the indices of their order.
        mem_mb=2500,
    params:
        code=code_digest("find_regions.py"),
        repair=repair(paths.REGIONS),
    script:
        "../scripts/find_regions.py"


rule check_regions:
    """Fail when a region is too large to be split off."""
    input:
        manifest=paths.manifest(paths.REGIONS),
    output:
        receipt=paths.REGIONS_ACCEPTED,
    log:
        "logs/check_regions.log",
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("check_regions.py"),
        repair=repair(paths.REGIONS_ACCEPTED),
        config=settings("limits.max_region_fraction", "split.unit"),
    script:
        "../scripts/check_regions.py"


rule plan_magnetic:
    """Decide splits and augmentation for every record of the data set to come."""
    input:
        ids=expand(paths.IDS, collection="train"),
        ids_manifest=expand(paths.manifest(paths.IDS), collection="train"),
        regions=paths.REGIONS,
        regions_manifest=paths.manifest(paths.REGIONS),
        gate=paths.REGIONS_ACCEPTED,
    output:
        plan=paths.PLAN,
        manifest=paths.manifest(paths.PLAN),
    log:
        "logs/plan_magnetic.log",
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=1500,
    params:
        code=code_digest("plan_magnetic.py"),
        repair=repair(paths.PLAN),
        config=settings("seed", "split", "augmentation"),
    script:
        "../scripts/plan_magnetic.py"


rule check_leaks:
    """Look for anything that stands in two splits, and for overlap with the test file."""
    input:
        plan=paths.PLAN,
        plan_manifest=paths.manifest(paths.PLAN),
        ids=expand(paths.IDS, collection=["train", "test"]),
        ids_manifests=expand(paths.manifest(paths.IDS), collection=["train", "test"]),
        values=expand(paths.VALUES, partition=PARTITIONS),
        manifests=expand(paths.manifest(paths.VALUES), partition=PARTITIONS),
    output:
        receipt=paths.LEAKS,
    log:
        "logs/check_leaks.log",
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=2500,
    params:
        code=code_digest("check_leaks.py"),
        repair=repair(paths.LEAKS),
        config=settings("split.unit"),
    script:
        "../scripts/check_leaks.py"


rule augment_train:
    """Write the augmented set: the planned records, originals and synthetic copies."""
    input:
        plan=paths.PLAN,
        plan_manifest=paths.manifest(paths.PLAN),
        ids=expand(paths.IDS, collection="train"),
        ids_manifest=expand(paths.manifest(paths.IDS), collection="train"),
        clean=expand(paths.CLEAN, collection="train"),
        clean_manifest=expand(paths.manifest(paths.CLEAN), collection="train"),
    output:
        augmented=directory(paths.AUGMENTED),
        manifest=paths.manifest(paths.AUGMENTED),
    log:
        "logs/augment_train.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL
    resources:
        mem_mb=memory(1000, each=700),
        runtime=minutes(15, per_gb=10, of="clean"),
    params:
        code=code_digest("augment_train.py"),
        repair=repair(paths.AUGMENTED),
        config=settings("seed", "split.augment"),
    script:
        "../scripts/augment_train.py"


rule check_conservation:
    """Balance the books: lines met, records kept, planned and written."""
    input:
        values=lambda wildcards: expand(
            paths.manifest(paths.VALUES), partition=COLLECTIONS[wildcards.collection]
        ),
        ids=paths.manifest(paths.IDS),
        clean=paths.manifest(paths.CLEAN),
        planned=branch(
            lambda wildcards: wildcards.collection == "train",
            then=[paths.manifest(paths.PLAN), paths.manifest(paths.AUGMENTED)],
            otherwise=[],
        ),
    output:
        receipt=paths.CONSERVATION,
    log:
        "logs/check_conservation/{collection}.log",
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("check_conservation.py"),
        repair=repair(paths.CONSERVATION),
    script:
        "../scripts/check_conservation.py"


rule write_features:
    """Write one engineered split."""
    input:
        unpack(feature_inputs),
    output:
        features=directory(paths.FEATURES),
        manifest=paths.manifest(paths.FEATURES),
    log:
        "logs/write_features/{split}.log",
    conda:
        "../../envs/magnetic.yaml"
    threads: PARALLEL
    resources:
        mem_mb=memory(1000, each=500),
        runtime=minutes(15, per_gb=10, of="store"),
    params:
        code=code_digest("write_features.py"),
        repair=repair(paths.FEATURES),
        config=feature_settings,
    script:
        "../scripts/write_features.py"


rule diagnose_magnetic:
    """Tell in one table which lines were rejected, why, and how that bears on the classes."""
    input:
        values=expand(paths.manifest(paths.VALUES), partition=PARTITIONS),
        catalogues=expand(paths.CATALOGUE, partition=PARTITIONS),
        quarantines=expand(paths.QUARANTINE, partition=PARTITIONS),
        ids=expand(paths.manifest(paths.IDS), collection=["train", "test"]),
        regions=paths.manifest(paths.REGIONS),
        plan=paths.manifest(paths.PLAN),
        leaks=paths.LEAKS,
        features=expand(paths.manifest(paths.FEATURES), split=SPLITS),
    output:
        table=report(
            paths.DIAGNOSTICS,
            caption="../report/magnetic_diagnostics.rst",
            category="Magnetic",
        ),
        manifest=paths.manifest(paths.DIAGNOSTICS),
    log:
        "logs/diagnose_magnetic.log",
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("diagnose_magnetic.py"),
        repair=repair(paths.DIAGNOSTICS),
    script:
        "../scripts/diagnose_magnetic.py"
