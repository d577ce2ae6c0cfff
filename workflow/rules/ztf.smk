# The ZTF branch: nightly tarballs of alerts and ALeRCE's classes to labelled stamps.
# Catalogue (labels, nights), plan (which alert stands for which object), materialise (stamps, CSV).


# Too small to wait for a cluster: they run where Snakemake does.
localrules:
    read_labels,
    check_night,
    draw_ztf,
    report_ztf,


rule read_labels:
    """Read the classes of ALeRCE's list and give every object one label."""
    input:
        raw=raw_path(ztf_labels_file()),
        receipt=receipt_of(ztf_labels_file()),
    output:
        labels=paths.ZTF_LABELS,
        manifest=paths.manifest(paths.ZTF_LABELS),
        problems=paths.ZTF_LABEL_PROBLEMS,
    log:
        "logs/read_labels.log",
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=2000,
    params:
        code=code_digest("read_labels.py"),
        repair=repair(paths.ZTF_LABELS),
        config=settings("labels"),
    script:
        "../scripts/read_labels.py"


rule extract_night:
    """Read a night's alerts as a stream and keep the centres of their stamps."""
    input:
        unpack(labels_for_extraction),
        raw=lambda wildcards: raw_path(night_file(wildcards.night)),
        receipt=lambda wildcards: receipt_of(night_file(wildcards.night)),
    output:
        stamps=paths.ZTF_NIGHT,
        manifest=paths.manifest(paths.ZTF_NIGHT),
        quarantine=paths.ZTF_QUARANTINE,
    log:
        "logs/extract_night/{night}.log",
    conda:
        "../../envs/ztf.yaml"
    threads: PARALLEL
    resources:
        mem_mb=memory(1000, each=600),
        runtime=minutes(30, per_gb=2, of="raw"),
    params:
        code=code_digest("extract_night.py"),
        repair=repair(paths.ZTF_NIGHT),
        config=settings("ztf.extract", "ztf.crop", "ztf.edge"),
    script:
        "../scripts/extract_night.py"


rule check_night:
    """Fail when a night lost too many alerts or ended early, naming the first of them."""
    input:
        manifest=paths.manifest(paths.ZTF_NIGHT),
        quarantine=paths.ZTF_QUARANTINE,
    output:
        receipt=paths.ZTF_ACCEPTED,
    log:
        "logs/check_night/{night}.log",
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("check_night.py"),
        repair=repair(paths.ZTF_ACCEPTED),
        config=settings("limits.max_corrupt_fraction", "ztf.accept_truncated"),
    script:
        "../scripts/check_night.py"


rule read_nights:
    """Every night, up to its check and no further: a target that `--batch` can divide."""
    input:
        gates=expand(paths.ZTF_ACCEPTED, night=NIGHTS),


rule plan_ztf:
    """Match objects with labels, choose alerts, samples and splits; reads keys alone."""
    input:
        stamps=expand(paths.ZTF_NIGHT, night=NIGHTS),
        manifests=expand(paths.manifest(paths.ZTF_NIGHT), night=NIGHTS),
        gates=expand(paths.ZTF_ACCEPTED, night=NIGHTS),
        labels=paths.ZTF_LABELS,
        labels_manifest=paths.manifest(paths.ZTF_LABELS),
    output:
        plan=paths.ZTF_PLAN,
        manifest=paths.manifest(paths.ZTF_PLAN),
    log:
        "logs/plan_ztf.log",
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=memory(4000, per_gb=100, of="stamps"),
        runtime=minutes(30, per_gb=1, of="stamps"),
    params:
        code=code_digest("plan_ztf.py"),
        repair=repair(paths.ZTF_PLAN),
        config=settings("seed", "ztf.representative", "ztf.sample", "ztf.split"),
    script:
        "../scripts/plan_ztf.py"


rule gather_ztf:
    """Gather the stamps that the plan names from all nights."""
    input:
        plan=paths.ZTF_PLAN,
        plan_manifest=paths.manifest(paths.ZTF_PLAN),
        stamps=expand(paths.ZTF_NIGHT, night=NIGHTS),
        manifests=expand(paths.manifest(paths.ZTF_NIGHT), night=NIGHTS),
    output:
        stamps=paths.ZTF_STAMPS,
        array=paths.ZTF_STAMPS_ARRAY,
        labels=paths.ZTF_STAMPS_LABELS,
        manifest=paths.manifest(paths.ZTF_STAMPS),
    log:
        "logs/gather_ztf.log",
    conda:
        "../../envs/ztf.yaml"
    threads: PARALLEL
    resources:
        mem_mb=memory(1000, each=300),
        runtime=minutes(30, per_gb=2, of="stamps"),
    params:
        code=code_digest("gather_ztf.py"),
        repair=repair(paths.ZTF_STAMPS),
    script:
        "../scripts/gather_ztf.py"


rule export_ztf:
    """Write the sampled stamps of one label as CSV, every value of them."""
    input:
        stamps=paths.ZTF_STAMPS,
        array=paths.ZTF_STAMPS_ARRAY,
        manifest=paths.manifest(paths.ZTF_STAMPS),
    output:
        table=paths.ZTF_TABLE,
        manifest=paths.manifest(paths.ZTF_TABLE),
    log:
        "logs/export_ztf/{label}.log",
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30, per_gb=10, of="stamps"),
    params:
        code=code_digest("export_ztf.py"),
        repair=repair(paths.ZTF_TABLE),
        config=settings("ztf.csv"),
    script:
        "../scripts/export_ztf.py"


rule write_alert_files:
    """Write each exported alert's stamps as a file of its own, in the published layout."""
    input:
        stamps=paths.ZTF_STAMPS,
        array=paths.ZTF_STAMPS_ARRAY,
        manifest=paths.manifest(paths.ZTF_STAMPS),
    output:
        alerts=directory(paths.ZTF_ALERTS),
        manifest=paths.manifest(paths.ZTF_ALERTS),
    log:
        "logs/write_alert_files.log",
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60, per_gb=30, of="stamps"),
    params:
        code=code_digest("write_alert_files.py"),
        repair=repair(paths.ZTF_ALERTS),
        config=settings("ztf.representative"),
    script:
        "../scripts/write_alert_files.py"


rule draw_ztf:
    """Draw some stamps of one label side by side."""
    input:
        stamps=paths.ZTF_STAMPS,
        array=paths.ZTF_STAMPS_ARRAY,
        manifest=paths.manifest(paths.ZTF_STAMPS),
    output:
        sheet=report(paths.ZTF_SHEET, caption="../report/contact_sheet.rst", category="ZTF stamps"),
        manifest=paths.manifest(paths.ZTF_SHEET),
    log:
        "logs/draw_ztf/{label}.log",
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=1000,
    params:
        code=code_digest("draw_ztf.py"),
        repair=repair(paths.ZTF_SHEET),
        config=settings("seed"),
    script:
        "../scripts/draw_ztf.py"


rule report_ztf:
    """Tell in one page what the nights held, what was lost, and what was matched."""
    input:
        nights=expand(paths.manifest(paths.ZTF_NIGHT), night=NIGHTS),
        labels=paths.manifest(paths.ZTF_LABELS),
        plan=paths.manifest(paths.ZTF_PLAN),
    output:
        page=report(paths.ZTF_REPORT, caption="../report/ztf_report.rst", category="ZTF stamps"),
        manifest=paths.manifest(paths.ZTF_REPORT),
    log:
        "logs/report_ztf.log",
    conda:
        "../../envs/ztf.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("report_ztf.py"),
        repair=repair(paths.ZTF_REPORT),
        absent=ABSENT_NIGHTS,
    script:
        "../scripts/report_ztf.py"
