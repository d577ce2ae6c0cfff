"""The aligned branch: magnetic series and solar images of one region at one time."""
