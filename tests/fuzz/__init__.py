"""A fuzzer of the estimators: ``python -m tests.fuzz --cases 5000 --seed 0``."""
