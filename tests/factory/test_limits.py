"""What this machine can hold is known before the start."""

from qalipsis.factory.limits import RESERVE, Need, local_ports, open_descriptors, refusal

SHOP = ("shop.example", 80)
PORTS = (32768, 60999)


def need(connections: int, allowed: int = 20_000, used: int = 10) -> Need:
    return Need({SHOP: connections}, allowed, used)


def test_what_fits_is_not_refused() -> None:
    assert refusal({0: need(20_000 - 10 - RESERVE)}, PORTS) is None
    assert refusal({0: Need({}, 20_000, 10)}, PORTS) is None


def test_more_connections_than_descriptors_are_refused_with_the_numbers_and_the_remedy() -> None:
    reason = refusal({0: need(10), 1: need(19_927)}, PORTS)
    assert reason is not None
    assert "worker 1 may hold 19,927 connections" in reason
    assert "20,000 descriptors" in reason
    assert "ulimit -n 20001" in reason


def test_more_connections_to_one_address_than_ports_are_refused() -> None:
    needs = {0: need(15_000), 1: need(13_233)}
    reason = refusal(needs, PORTS)
    assert reason is not None
    assert "28,233 connections to shop.example:80" in reason
    assert "28,232 ports" in reason
    assert "ip_local_port_range" in reason


def test_the_ports_of_other_campaigns_are_taken() -> None:
    assert refusal({0: Need({SHOP: 28_000}, 40_000, 10)}, PORTS, {SHOP: 232}) is None
    assert refusal({0: Need({SHOP: 28_000}, 40_000, 10)}, PORTS, {("other.example", 80): 28_000}) is None
    reason = refusal({0: need(15_000)}, PORTS, {SHOP: 13_233})
    assert reason is not None
    assert "15,000 connections to shop.example:80 beside 13,233 of other campaigns" in reason


def test_several_addresses_have_their_ports_each() -> None:
    needs = {
        0: Need({SHOP: 15_000}, 20_000, 10),
        1: Need({("other.example", 80): 15_000}, 20_000, 10),
    }
    assert refusal(needs, PORTS) is None


def test_this_machine_is_asked() -> None:
    first, last = local_ports()
    assert 0 < first < last < 65536
    assert open_descriptors() >= 3
