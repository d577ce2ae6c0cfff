"""The SDOBenchmark branch: from the published zip to an index, a plan and tensors."""
