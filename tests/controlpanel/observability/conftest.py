from tests.markets.conftest import deployed as deployed
