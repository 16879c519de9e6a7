"""The matrix of versions: ``nox`` runs all of it, where the Pythons and torch's wheels can be had.

Continuous integration runs two of its cells, ``make test`` and ``make test-minimum``, since most builds of torch for
Linux bring gigabytes of CUDA.
"""

import nox

nox.options.default_venv_backend = "venv"
# For each Python the oldest torch that has wheels for it, and the one that the project is developed with.
MATRIX = [("3.10", "2.6.0"), ("3.11", "2.6.0"), ("3.11", "2.13.0"), ("3.12", "2.13.0"), ("3.13", "2.13.0")]


@nox.session
@nox.parametrize(("python", "torch"), MATRIX)
def tests(session, torch):
    """Run all tests with the newest releases of everything but torch."""
    session.install(f"torch=={torch}")
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", env={"OMP_NUM_THREADS": "1"})


@nox.session(python="3.10")
def minimum(session):
    """Run all tests with the oldest releases that pyproject.toml allows, torch included."""
    session.install("torch==2.6.0", "-c", "constraints-minimum.txt")
    session.install("-e", ".[test]", "-c", "constraints-minimum.txt")
    session.run("python", "-m", "pytest", env={"OMP_NUM_THREADS": "1"})
