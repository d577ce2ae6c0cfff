# The aligned branch: magnetic windows and solar images of one region at one time.


rule aligned:
    """Every product of the aligned branch."""
    input:
        rules.swan_sf.input,
