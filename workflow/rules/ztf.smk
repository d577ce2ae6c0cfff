# The ZTF branch: makes labelled stamps from nightly tarballs of alerts and ALeRCE's classes.
# Catalogue (labels, nights), plan (which alert represents each object), materialise (stamps, CSV).


rule read_labels:
    """Read and hash a list of classes, and give every object one label."""
    input:
        raw=given(label_list),
        sidecar=ancient(lambda wildcards: RAW.labels_sidecar),
    output:
        labels=paths.ZTF_LABELS,
        problems=paths.ZTF_LABEL_PROBLEMS,
        manifest=manifest(paths.ZTF_LABELS),
    log:
        f"{LOGS}/read_labels.log",
    localrule: True
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=2000,
    params:
        # `raw` compares the name of the list, which contains its location.
        **stage(
            "read_labels.py",
            *(f"labels.{key}" for key in config["labels"] if key != "file"),
            raw=label_list,
            enforced=lambda wildcards: RAW.enforces_labels,
        ),
        file=lambda wildcards: RAW.labels,
    script:
        "../scripts/read_labels.py"


rule check_labels:
    """Fail if too many rows of the list were rejected, or too many objects have several classes."""
    input:
        labels=manifest(paths.ZTF_LABELS),
        problems=ancient(paths.ZTF_LABEL_PROBLEMS),
    output:
        receipt=paths.ZTF_LABELS_ACCEPTED,
    log:
        f"{LOGS}/check_labels.log",
    localrule: True
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("check_labels.py", also=limit(limits.lost_labels)),
    script:
        "../scripts/check_labels.py"


rule extract_night:
    """Read and hash a night's alerts as a stream, and write the centres of the stamps."""
    input:
        **EXTRACTION_LABELS,
        raw=given(night_file),
        sidecar=ancient(lambda wildcards: RAW.sidecar(RAW.night(wildcards.night))),
    output:
        stamps=paths.ZTF_NIGHT,
        quarantine=paths.ZTF_QUARANTINE,
        manifest=manifest(paths.ZTF_NIGHT),
    log:
        f"{LOGS}/extract_night/{{night}}.log",
    conda:
        "../../envs/ztf.yaml"
    threads: PARALLEL["ztf"]
    resources:
        mem_mb=memory(1000, each=600),
        runtime=minutes(30, per_gb=2, of="raw"),
    params:
        **stage(
            "extract_night.py",
            "ztf.extract",
            "ztf.crop",
            "ztf.edge",
            "ztf.no_data",
            raw=night_file,
            enforced=lambda wildcards: RAW.is_enforced(RAW.night(wildcards.night)),
        ),
        file=lambda wildcards: RAW.night(wildcards.night),
    script:
        "../scripts/extract_night.py"


rule check_night:
    """Fail if a night lost too many alerts, has no stamps, or ends early; name the first losses."""
    input:
        stamps=manifest(paths.ZTF_NIGHT),
        quarantine=ancient(paths.ZTF_QUARANTINE),
    output:
        receipt=paths.ZTF_ACCEPTED,
    log:
        f"{LOGS}/check_night/{{night}}.log",
    localrule: True
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("check_night.py", also=limit(limits.lost_alerts)),
    script:
        "../scripts/check_night.py"


rule read_nights:
    """Every night up to its check: a target that `--batch` can divide."""
    input:
        every(rules.check_night.output, night=NIGHTS),


rule plan_ztf:
    """Match objects with labels, and choose alerts, samples and splits. Only keys are read."""
    input:
        **made(stamps=expand(paths.ZTF_NIGHT, night=NIGHTS), labels=paths.ZTF_LABELS),
        checks=[paths.ZTF_LABELS_ACCEPTED, *expand(paths.ZTF_ACCEPTED, night=NIGHTS)],
    output:
        plan=paths.ZTF_PLAN,
        manifest=manifest(paths.ZTF_PLAN),
    log:
        f"{LOGS}/plan_ztf.log",
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=memory(4000, per_gb=100, of="stamps"),
        runtime=minutes(30, per_gb=1, of="stamps"),
    params:
        **stage("plan_ztf.py", "seed", "ztf.representative", "ztf.sample", "ztf.split"),
    script:
        "../scripts/plan_ztf.py"


rule gather_ztf:
    """Gather the stamps that the plan names from all nights."""
    input:
        **made(plan=paths.ZTF_PLAN, nights=expand(paths.ZTF_NIGHT, night=NIGHTS)),
    output:
        stamps=paths.ZTF_STAMPS,
        array=paths.ZTF_STAMPS_ARRAY,
        labels=paths.ZTF_STAMPS_LABELS,
        manifest=manifest(paths.ZTF_STAMPS),
    log:
        f"{LOGS}/gather_ztf.log",
    conda:
        "../../envs/ztf.yaml"
    threads: PARALLEL["ztf"]
    resources:
        mem_mb=memory(1000, each=300),
        runtime=minutes(30, per_gb=2, of="nights"),
    params:
        **stage("gather_ztf.py"),
    script:
        "../scripts/gather_ztf.py"


rule export_ztf:
    """Write all values of the sampled stamps as CSV, one file for each label."""
    input:
        **made(stamps=paths.ZTF_STAMPS),
        array=ancient(paths.ZTF_STAMPS_ARRAY),
    output:
        tables=expand(paths.ZTF_TABLE, label=ZTF_LABELS),
        manifest=expand(manifest(paths.ZTF_TABLE), label=ZTF_LABELS),
    log:
        f"{LOGS}/export_ztf.log",
    conda:
        "../../envs/ztf.yaml"
    threads: min(PARALLEL["ztf"], len(ZTF_LABELS))
    resources:
        mem_mb=memory(1500, each=500),
        runtime=minutes(30, per_gb=10, of="stamps"),
    params:
        **stage("export_ztf.py", "ztf.csv"),
        labels=ZTF_LABELS,
    script:
        "../scripts/export_ztf.py"


rule write_alert_files:
    """Write the stamps of each exported alert to a separate file, in the published layout."""
    input:
        **made(stamps=paths.ZTF_STAMPS),
        array=ancient(paths.ZTF_STAMPS_ARRAY),
    output:
        alerts=directory(paths.ZTF_ALERTS),
        manifest=manifest(paths.ZTF_ALERTS),
    log:
        f"{LOGS}/write_alert_files.log",
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60, per_gb=30, of="stamps"),
    params:
        **stage("write_alert_files.py", "ztf.representative"),
    script:
        "../scripts/write_alert_files.py"


rule report_ztf:
    """Write a page about alerts of the nights, lost alerts, and matched objects."""
    input:
        nights=expand(manifest(paths.ZTF_NIGHT), night=NIGHTS),
        labels=manifest(paths.ZTF_LABELS),
        plan=manifest(paths.ZTF_PLAN),
    output:
        page=paths.ZTF_REPORT,
        manifest=manifest(paths.ZTF_REPORT),
    log:
        f"{LOGS}/report_ztf.log",
    localrule: True
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=500,
    params:
        **stage("report_ztf.py", settings_of=lambda wildcards: {"absent": RAW.absent_nights}),
    script:
        "../scripts/report_ztf.py"


rule illustrate_ztf:
    """Draw the section of the report about ZTF, and a sheet of stamps of each label."""
    input:
        **made(stamps=paths.ZTF_STAMPS),
        array=ancient(paths.ZTF_STAMPS_ARRAY),
        nights=expand(manifest(paths.ZTF_NIGHT), night=NIGHTS),
        labels=manifest(paths.ZTF_LABELS),
        plan=manifest(paths.ZTF_PLAN),
    output:
        section=section("ztf", "ZTF stamps"),
        sheets=expand(paths.ZTF_SHEET, label=ZTF_LABELS),
        manifest=manifest(
            [paths.SECTION.format(branch="ztf"), *expand(paths.ZTF_SHEET, label=ZTF_LABELS)]
        ),
    log:
        f"{LOGS}/illustrate_ztf.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
    params:
        **stage(
            "illustrate_ztf.py",
            settings_of=lambda wildcards: {**settings("seed"), "absent": RAW.absent_nights},
        ),
        labels=ZTF_LABELS,
    script:
        "../scripts/illustrate_ztf.py"


rule ztf:
    """Every product of the ZTF branch."""
    input:
        every(rules.read_labels.output),
        every(rules.check_labels.output),
        every(rules.extract_night.output, night=NIGHTS),
        every(rules.check_night.output, night=NIGHTS),
        every(rules.plan_ztf.output),
        every(rules.gather_ztf.output),
        every(rules.export_ztf.output),
        every(rules.write_alert_files.output) if config["ztf"]["alert_files"] else [],
        every(rules.report_ztf.output),
        every(rules.illustrate_ztf.output),
        every(rules.measure_ztf.output),
        every(rules.write_card.output, data_set="ztf"),
