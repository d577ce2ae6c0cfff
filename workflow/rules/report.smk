# The report: one page about all branches that are switched on.


rule write_report:
    """Write the report: the sections of all branches, all checks, sources and citations."""
    input:
        unpack(report_inputs),
    output:
        page=report(
            paths.REPORT,
            caption="../report/whole.rst",
            category="Whole report",
            labels={"figure": "all parts on one page"},
        ),
        manifest=manifest(paths.REPORT),
    log:
        f"{LOGS}/write_report.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
    params:
        **stage("write_report.py", settings_of=report_settings),
    script:
        "../scripts/write_report.py"
