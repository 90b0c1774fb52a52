"""The data is made once, in a folder of these tests' own."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINITX_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
