# The SDOBenchmark branch: the zip as downloaded, or a tree put there by hand, to an index, a plan
# with a leak-free validation split, and tensors.


# Too small to wait for a cluster: they run where Snakemake does.
localrules:
    survey_sdo,
    check_sdo,
    plan_sdo,
    index_sdo,
    report_sdo,


if SDO_FROM_ZIP:

    rule unpack_sdo:
        """Unpack the zip, each file once, whatever letter case its folders have.

        Nothing but the zip makes the tree stale: neither code nor settings are parameters here.
        Where a tree was put by hand there is no such rule: Snakemake deletes outputs before it
        makes them.
        """
        input:
            archive=raw_path(paths.SDO_FILE),
        output:
            folder=directory(SDO_FOLDER),
            manifest=paths.manifest(SDO_FOLDER),
        log:
            "logs/unpack_sdo.log",
        conda:
            "../../envs/sdo.yaml"
        threads: PARALLEL
        resources:
            # The names of 1.2 million members, and where they go.
            mem_mb=memory(2000, each=150),
            runtime=minutes(30, per_gb=10, of="archive"),
        params:
            repair=repair(SDO_FOLDER),
        script:
            "../scripts/unpack_sdo.py"


rule survey_sdo:
    """Find the root of the unpacked tree, and write down what lies there and where it came from."""
    input:
        folder=SDO_FOLDER,
        manifest=branch(SDO_FROM_ZIP, then=[paths.manifest(SDO_FOLDER)], otherwise=[]),
        receipt=[receipt_of(file) for file in sdo_files()],
    output:
        receipt=paths.SDO_RECEIPT,
    log:
        "logs/survey_sdo.log",
    conda:
        "../../envs/sdo.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("survey_sdo.py"),
        repair=repair(paths.SDO_RECEIPT),
    script:
        "../scripts/survey_sdo.py"


rule catalogue_sdo:
    """Read the metadata, check every image, and list all that is wrong."""
    input:
        folder=SDO_FOLDER,
        receipt=paths.SDO_RECEIPT,
    output:
        samples=paths.SDO_SAMPLES,
        images=paths.SDO_IMAGES,
        problems=paths.SDO_PROBLEMS,
        manifest=paths.manifest(paths.SDO_SAMPLES),
    log:
        "logs/catalogue_sdo.log",
    conda:
        "../../envs/sdo.yaml"
    threads: PARALLEL
    resources:
        mem_mb=memory(1500, each=250),
        runtime=minutes(120),
    params:
        code=code_digest("catalogue_sdo.py"),
        repair=repair(paths.SDO_SAMPLES),
    script:
        "../scripts/catalogue_sdo.py"


rule check_sdo:
    """Fail when too many images are damaged or too many samples lost, naming the first of them."""
    input:
        manifest=paths.manifest(paths.SDO_SAMPLES),
        problems=paths.SDO_PROBLEMS,
    output:
        receipt=paths.SDO_ACCEPTED,
    log:
        "logs/check_sdo.log",
    conda:
        "../../envs/sdo.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("check_sdo.py"),
        repair=repair(paths.SDO_ACCEPTED),
        config=settings("limits.max_damaged_fraction", "limits.max_lost_samples_fraction"),
    script:
        "../scripts/check_sdo.py"


rule plan_sdo:
    """Decide label, class and split of every sample."""
    input:
        samples=paths.SDO_SAMPLES,
        manifest=paths.manifest(paths.SDO_SAMPLES),
        gate=paths.SDO_ACCEPTED,
    output:
        plan=paths.SDO_PLAN,
        manifest=paths.manifest(paths.SDO_PLAN),
    log:
        "logs/plan_sdo.log",
    conda:
        "../../envs/sdo.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("plan_sdo.py"),
        repair=repair(paths.SDO_PLAN),
        config=settings("seed", "sdo.flux_scale", "sdo.validation_fraction"),
    script:
        "../scripts/plan_sdo.py"


rule index_sdo:
    """Write the index of one official set: labels, locations, and what each sample's images are."""
    input:
        samples=paths.SDO_SAMPLES,
        images=paths.SDO_IMAGES,
        manifest=paths.manifest(paths.SDO_SAMPLES),
        plan=paths.SDO_PLAN,
        plan_manifest=paths.manifest(paths.SDO_PLAN),
    output:
        index=paths.SDO_INDEX,
        manifest=paths.manifest(paths.SDO_INDEX),
    log:
        "logs/index_sdo/{sdo_set}.log",
    conda:
        "../../envs/sdo.yaml"
    resources:
        mem_mb=1000,
    params:
        code=code_digest("index_sdo.py"),
        repair=repair(paths.SDO_INDEX),
        # The one place with an absolute path: a project that was moved writes its index anew.
        config={"root": str(Path.cwd()), "tree": SDO_FOLDER},
    script:
        "../scripts/index_sdo.py"


rule tensors_sdo:
    """Write the images of one official set as a Zarr group, missing ones masked."""
    input:
        folder=SDO_FOLDER,
        samples=paths.SDO_SAMPLES,
        images=paths.SDO_IMAGES,
        manifest=paths.manifest(paths.SDO_SAMPLES),
        gate=paths.SDO_ACCEPTED,
    output:
        tensors=directory(paths.SDO_TENSORS),
        manifest=paths.manifest(paths.SDO_TENSORS),
    log:
        "logs/tensors_sdo/{sdo_set}.log",
    conda:
        "../../envs/sdo.yaml"
    threads: PARALLEL
    resources:
        # A shard of 42 MB, packed, unpacked and read back.
        mem_mb=memory(1500, each=700),
        runtime=minutes(240),
    params:
        code=code_digest("tensors_sdo.py"),
        repair=repair(paths.SDO_TENSORS),
    script:
        "../scripts/tensors_sdo.py"


rule report_sdo:
    """Tell in one page what the tree holds, what is wrong with it, and how it was split."""
    input:
        samples=paths.SDO_SAMPLES,
        images=paths.SDO_IMAGES,
        problems=paths.SDO_PROBLEMS,
        manifest=paths.manifest(paths.SDO_SAMPLES),
        plan_manifest=paths.manifest(paths.SDO_PLAN),
    output:
        page=report(
            paths.SDO_REPORT,
            caption="../report/sdo_integrity.rst",
            category="SDOBenchmark",
        ),
        manifest=paths.manifest(paths.SDO_REPORT),
    log:
        "logs/report_sdo.log",
    conda:
        "../../envs/sdo.yaml"
    resources:
        mem_mb=1000,
    params:
        code=code_digest("report_sdo.py"),
        repair=repair(paths.SDO_REPORT),
        config=settings("sdo.flux_scale"),
    script:
        "../scripts/report_sdo.py"
