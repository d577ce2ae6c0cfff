# Raw files, fetched or put there by hand, and what is known of each before it is read.


rule verify_raw_magnetic:
    """Check what a raw file is, hash it, and write down where it came from."""
    input:
        raw=paths.RAW[MAGNETIC_SOURCE],
    output:
        receipt=paths.RAW_RECEIPT,
    log:
        "logs/verify_raw_magnetic/{partition}.log",
    conda:
        "../../envs/magnetic.yaml"
    resources:
        mem_mb=500,
    params:
        code=code_digest("verify_raw_magnetic.py"),
        repair=repair(paths.RAW_RECEIPT),
    script:
        "../scripts/verify_raw_magnetic.py"
