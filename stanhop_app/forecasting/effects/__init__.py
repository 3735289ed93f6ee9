"""What covariates that are known ahead say of a value at the same step, in closed form."""
