"""Studies: grids of cells that grow in a results file, with their tables, figures and findings."""
