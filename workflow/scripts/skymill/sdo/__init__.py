"""The SDOBenchmark branch: the zip as published, to an index, a plan and tensors."""
