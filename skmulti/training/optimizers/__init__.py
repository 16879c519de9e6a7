"""torch's optimizers on one flat vector of parameters, for one network and for a stack."""
