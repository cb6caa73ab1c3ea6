"""What to run: protocols, suites, the frozen specs of runs, and the request that a worker is handed."""
