"""Forward and backward passes of known layers, computed without autograd, for one network and for a stack."""
