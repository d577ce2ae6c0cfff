"""The base of every branch: products, staleness, jobs, workers. Nothing here is about the sky."""
