"""Reports: tables, plots and pages made of `results/` alone, the same bytes each time. Imports no torch."""
