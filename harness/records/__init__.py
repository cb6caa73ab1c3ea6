"""What runs and measurements leave in `results/`, and how it is stored and merged. Imports no torch."""
