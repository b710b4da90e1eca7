"""What the demonstration takes from the shell that it is started in."""

import pytest

from hub.cli.context import Exit
from hub.cli.demo.scene import leave_out_hub
from tests.unit.cli.conftest import Hub


def test_the_addresses_and_keys_of_a_real_hub_are_left_out_and_named() -> None:
    harmless = {"PATH": "/bin", "HUB_DATA_DIR": "/tmp/x", "HUB_LOG_FORMAT": "json", "HUB_LOG_LEVEL": "debug"}
    real = {"HUB_REDIS_URL": "redis://prod/0", "HUB_KAFKA_BOOTSTRAP": "prod:9092", "HUB_MISTYPED": "x"}

    assert leave_out_hub(harmless | real) == (harmless, ["HUB_KAFKA_BOOTSTRAP", "HUB_MISTYPED", "HUB_REDIS_URL"])
    assert leave_out_hub(harmless) == (harmless, [])


@pytest.mark.parametrize("service", ["nobody", ""])
def test_a_service_that_is_none_can_not_be_killed(bare: Hub, service: str) -> None:
    done = bare("demo", "--kill", service)

    assert done.code == Exit.USAGE
    assert "'metadata_writer'" in done.err
    assert done.out == ""
