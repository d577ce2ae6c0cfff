"""What every branch stands on: products, staleness, jobs, workers. Knows nothing of the sky."""
