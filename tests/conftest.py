"""Set before scikit-learn and SciPy are imported: without it, scikit-learn skips one of its checks."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")
