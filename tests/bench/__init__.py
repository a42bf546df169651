"""What Agnes costs: time, memory and bytes, measured against budgets by `make bench`."""
