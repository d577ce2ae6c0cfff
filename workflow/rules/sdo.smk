# The SDOBenchmark branch: makes an index, a plan with a leak-free validation split, and tensors from
# the downloaded zip or from the user's own tree.


if RAW.sdo_from_zip:

    rule unpack_sdo:
        """Unpack each file of the zip once, for any letter case of its folders.

        Only the zip makes the tree stale, so code and settings are not parameters of this rule.
        This rule does not exist if the user provides a tree, because Snakemake deletes outputs
        before it makes them.
        """
        input:
            raw=given(sdo_zip),
            sidecar=ancient(RAW.sidecar(skymill.paths.SDO_FILE)),
        output:
            folder=directory(RAW.sdo_folder),
            manifest=manifest(RAW.sdo_folder),
        log:
            f"{LOGS}/unpack_sdo.log",
        conda:
            "../../envs/sdo.yaml"
        threads: PARALLEL["sdo"]
        resources:
            # The names and targets of 1.2 million members.
            mem_mb=memory(2000, each=150),
            runtime=minutes(30, per_gb=10, of="raw"),
        params:
            check=damaged_alone,
        script:
            "../scripts/unpack_sdo.py"


rule locate_sdo:
    """Find the root of the unpacked tree, and record its contents and source."""
    input:
        folder=ancient(RAW.sdo_folder),
        manifest=branch(RAW.sdo_from_zip, then=[manifest(RAW.sdo_folder)], otherwise=[]),
        receipt=[paths.RAW_RECEIPT.format(file=file) for file in RAW.files("sdo")],
    output:
        receipt=paths.SDO_RECEIPT,
    log:
        f"{LOGS}/locate_sdo.log",
    localrule: True
    conda:
        "../../envs/sdo.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("locate_sdo.py", also=same_tree),
    script:
        "../scripts/locate_sdo.py"


rule catalogue_sdo:
    """Read the metadata, check every image, and list all problems."""
    input:
        folder=ancient(RAW.sdo_folder),
        receipt=paths.SDO_RECEIPT,
    output:
        samples=paths.SDO_SAMPLES,
        images=paths.SDO_IMAGES,
        problems=paths.SDO_PROBLEMS,
        manifest=manifest(paths.SDO_SAMPLES),
    log:
        f"{LOGS}/catalogue_sdo.log",
    conda:
        "../../envs/sdo.yaml"
    threads: PARALLEL["sdo"]
    resources:
        mem_mb=memory(1500, each=250),
        runtime=minutes(120),
    params:
        **stage("catalogue_sdo.py", also=same_tree),
    script:
        "../scripts/catalogue_sdo.py"


rule check_sdo:
    """Fail if too many images or samples are damaged or missing; name the first of them."""
    input:
        located=paths.SDO_RECEIPT,
        samples=manifest(paths.SDO_SAMPLES),
        problems=ancient(paths.SDO_PROBLEMS),
    output:
        receipt=paths.SDO_ACCEPTED,
    log:
        f"{LOGS}/check_sdo.log",
    localrule: True
    conda:
        "../../envs/sdo.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("check_sdo.py", also=limit(limits.damaged_sdo)),
    script:
        "../scripts/check_sdo.py"


rule plan_sdo:
    """Decide label, class and split of every sample."""
    input:
        **made(samples=paths.SDO_SAMPLES),
        checks=[paths.SDO_ACCEPTED],
    output:
        plan=paths.SDO_PLAN,
        manifest=manifest(paths.SDO_PLAN),
    log:
        f"{LOGS}/plan_sdo.log",
    localrule: True
    conda:
        "../../envs/sdo.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("plan_sdo.py", "seed", "sdo.flux_scale", "sdo.split", "sdo.validation_fraction"),
    script:
        "../scripts/plan_sdo.py"


rule index_sdo:
    """Write the index of each official set: labels, locations and images of each sample."""
    input:
        **made(samples=paths.SDO_SAMPLES, plan=paths.SDO_PLAN),
        images=ancient(paths.SDO_IMAGES),
    output:
        indexes=expand(paths.SDO_INDEX, sdo_set=SDO_SETS),
        manifest=expand(manifest(paths.SDO_INDEX), sdo_set=SDO_SETS),
    log:
        f"{LOGS}/index_sdo.log",
    localrule: True
    conda:
        "../../envs/sdo.yaml"
    resources:
        mem_mb=1000,
    params:
        # The index is the only product with an absolute path. If a project moves, the index is
        # written again.
        **stage("index_sdo.py", settings_of=lambda wildcards: RAW.sdo_location(STORAGE)),
        sets=SDO_SETS,
    script:
        "../scripts/index_sdo.py"


rule tensors_sdo:
    """Write the images of one official set as a Zarr group with a mask of missing images."""
    input:
        **made(samples=paths.SDO_SAMPLES),
        folder=ancient(RAW.sdo_folder),
        images=ancient(paths.SDO_IMAGES),
        checks=[paths.SDO_ACCEPTED],
    output:
        tensors=directory(paths.SDO_TENSORS),
        manifest=manifest(paths.SDO_TENSORS),
    log:
        f"{LOGS}/tensors_sdo/{{sdo_set}}.log",
    conda:
        "../../envs/sdo.yaml"
    threads: PARALLEL["sdo"]
    resources:
        # Each worker has a shard of 42 MB in memory: packed, unpacked and read back.
        mem_mb=memory(1500, each=700),
        runtime=minutes(240),
    params:
        **stage("tensors_sdo.py"),
    script:
        "../scripts/tensors_sdo.py"


rule report_sdo:
    """Write a page about the contents, problems and splits of the tree."""
    input:
        **made(samples=paths.SDO_SAMPLES),
        located=paths.SDO_RECEIPT,
        images=ancient(paths.SDO_IMAGES),
        problems=ancient(paths.SDO_PROBLEMS),
        plan=manifest(paths.SDO_PLAN),
    output:
        page=paths.SDO_REPORT,
        manifest=manifest(paths.SDO_REPORT),
    log:
        f"{LOGS}/report_sdo.log",
    localrule: True
    conda:
        "../../envs/sdo.yaml"
    resources:
        mem_mb=1000,
    params:
        **stage("report_sdo.py", "sdo.flux_scale", "sdo.split"),
    script:
        "../scripts/report_sdo.py"


rule illustrate_sdo:
    """Draw the section of the report about SDOBenchmark."""
    input:
        **TENSOR_INPUTS,
        **made(samples=paths.SDO_SAMPLES, plan=paths.SDO_PLAN),
        located=paths.SDO_RECEIPT,
        images=ancient(paths.SDO_IMAGES),
    output:
        section=section("sdo", "SDO images"),
        manifest=manifest(paths.SECTION.format(branch="sdo")),
    log:
        f"{LOGS}/illustrate_sdo.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
    params:
        **stage("illustrate_sdo.py", "seed", "sdo.flux_scale", "sdo.split"),
    script:
        "../scripts/illustrate_sdo.py"


rule sdo:
    """Every product of the SDOBenchmark branch."""
    input:
        every(rules.verify_raw.output, file=RAW.files("sdo")),
        # The products stay after the user deleted zip and tree.
        every(rules.unpack_sdo.output) if RAW.sdo_from_zip and not RAW.is_gone(sdo_zip({})) else [],
        every(rules.locate_sdo.output),
        every(rules.catalogue_sdo.output),
        every(rules.check_sdo.output),
        every(rules.plan_sdo.output),
        every(rules.index_sdo.output),
        every(rules.tensors_sdo.output, sdo_set=TENSOR_SETS),
        every(rules.report_sdo.output),
        every(rules.illustrate_sdo.output),
        every(rules.measure_sdo.output),
        every(rules.write_card.output, data_set="sdo"),
