"""For every test, notebooks included: nobody watches progress bars, which would differ from what is stored."""

import os

os.environ["TQDM_DISABLE"] = "1"
